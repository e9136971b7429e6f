"""Train the best configs of a study with new seeds, and compare them."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sweep.api.reading import read_stored, url_of
from sweep.engines.device import check_device_name
from sweep.executors.auto import check_worker_options
from sweep.options import ConfirmOptions, RunOptions
from sweep.plugins.user_code import make_importable
from sweep.results.confirm import ConfirmSession
from sweep.results.confirm_plan import plan_confirmation
from sweep.results.confirmation import Confirmation, read_confirmation
from sweep.results.stored_study import StoredStudy
from sweep.storage import WriteBehindStorage, read_study, study_lock
from sweep.system.interruption import Interruption
from sweep.tuning.session import make_executor, plan_more_runs, say_source, workers_for


def confirm_study(
    name: str, options: ConfirmOptions, say: Callable[[str], None], warn: Callable[[str], None]
) -> Confirmation:
    """Train the best configs of a study with new seeds, the same for each config; stored runs are not trained again.

    Args:
        name: The study's name.
        options: The options.
        say: Called with each line on the progress.
        warn: Called with each line that the user should read even if progress is hidden.

    Returns:
        The scores of all candidates.

    Raises:
        StudyError: There is no such study, or its trials cannot be confirmed.
        InputError: No trial is COMPLETE, or the stored scores were made with another engine, device, data or code.
        Interrupted: A signal arrived; the same call resumes.
    """
    check_device_name(options.device.device)
    check_worker_options(options.workers, options.device)
    url = url_of(options.storage)
    read_stored(name, options.storage, warn)  # before the lock, so that a wrong name creates no lock file
    with Interruption() as interruption, study_lock(url, name):
        stored = StoredStudy(read_study(url, name))
        plan = plan_confirmation(stored, options.top, options.seeds, again=options.again)
        if plan.space.user_code:
            make_importable(stored.settings.code, Path.cwd())
        say_source(plan.space, warn)
        run_options = RunOptions(
            trials=plan.num_runs,
            seed=stored.settings.seed,
            engine=options.engine,
            device=options.device,
            workers=options.workers,
        )
        with workers_for(plan.space, run_options, None, interruption, warn) as workers:
            run_plan = plan_more_runs(plan.space, run_options, stored.settings, workers, warn)
            change = plan.code_change(run_plan.settings.code)
            if change is not None:
                warn(change)
            with closing(WriteBehindStorage(url, name)) as storage:
                confirming = ConfirmSession(storage, plan, run_plan.settings, interruption, say, again=options.again)
                say(run_plan.choice.line())
                say(confirming.start_line())
                confirming.run(make_executor(run_plan, interruption, workers, options.workers.trial_timeout_s))
    confirmation = read_confirmation(read_study(url, name).user_attrs)
    assert confirmation is not None
    return confirmation
