"""Train the best configs of a study from fresh seeds, and compare them."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sweep.api.reading import read_stored, url_of
from sweep.engines.device import check_device_name
from sweep.executors.auto import check_worker_options
from sweep.options import ConfirmOptions, RunOptions
from sweep.plugins.users_code import look_for_recorded
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
    """Train the best configs of a study from fresh seeds, paired; what is stored already is not trained again.

    Args:
        name: The study's.
        options: What was asked for.
        say: Takes each line on the progress.
        warn: Takes what the user should know whether progress is shown or not.

    Returns:
        All scores and what they say.

    Raises:
        InputError: The study has no trial to confirm, or the stored scores were made otherwise.
        Interrupted: A signal arrived; the same call resumes.
    """
    check_device_name(options.device.device)
    check_worker_options(options.workers, options.device)
    url = url_of(options.storage)
    read_stored(name, options.storage, warn)  # a wrong name shall leave no lock file behind
    with Interruption() as interruption, study_lock(url, name):
        stored = StoredStudy(read_study(url, name))
        plan = plan_confirmation(stored, options.top, options.seeds, again=options.again)
        if plan.space.users_code:
            look_for_recorded(stored.settings.code, Path.cwd())
        say_source(plan.space, warn)
        run_options = RunOptions(
            trials=plan.num_runs,
            seed=stored.settings.seed,
            engine=options.engine,
            device=options.device,
            workers=options.workers,
        )
        with workers_for(plan.space, run_options, None, interruption, warn) as workers:
            made = plan_more_runs(plan.space, run_options, stored.settings, workers, warn)
            change = plan.code_change(made.settings.code)
            if change is not None:
                warn(change)
            with closing(WriteBehindStorage(url, name)) as storage:
                confirming = ConfirmSession(storage, plan, made.settings, interruption, say, again=options.again)
                say(made.choice.line())
                say(confirming.start_line())
                confirming.run(make_executor(made, interruption, workers, options.workers.trial_timeout_s))
    confirmation = read_confirmation(read_study(url, name).user_attrs)
    assert confirmation is not None
    return confirmation
