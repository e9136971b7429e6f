"""One short function a command, its steps in order. Heavy imports stand inside the functions."""

import argparse
import os
import sys
from contextlib import closing
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.errors import InputError, StudyError
from sweep.text import counted, one_line

if TYPE_CHECKING:
    import optuna

    from sweep.config.file import Provenance
    from sweep.config.trial import TrialConfig
    from sweep.engines.devices import Device
    from sweep.space.space import Space
    from sweep.system.interruption import Interruption


def init(options: argparse.Namespace) -> None:
    """Copy the shipped space files; a file of yours is never overwritten."""
    from sweep.system.files import write_bytes

    shipped = sorted(Path(str(resources.files("sweep") / "search_spaces")).rglob("*.toml"))
    root = Path(str(resources.files("sweep") / "search_spaces"))
    targets = [(source, options.folder / source.relative_to(root)) for source in shipped]
    yours = [target for source, target in targets if target.exists() and not _is_copy(target, source)]
    if yours:
        raise InputError(f"{yours[0]} exists; choose another folder, nothing was copied")
    for source, target in targets:
        write_bytes(target, source.read_bytes())
        print(target)


def _is_copy(path: Path, source: Path) -> bool:
    """Whether the file is what an `init` that was interrupted has copied."""
    return path.is_file() and path.read_bytes() == source.read_bytes()


def check(options: argparse.Namespace) -> None:
    """Validate a space file and show what it makes."""
    from sweep.cli.check import print_samples, print_space
    from sweep.plugins.users_code import contained
    from sweep.system.interruption import Interruption

    space = _load_space(options)
    print_space(space)
    with Interruption(), contained(space.users_code):
        print_samples(space, options.samples, options.seed)


def run(options: argparse.Namespace) -> None:
    """Check everything, lock the study, go on from where it stands, say how it ended."""
    from sweep.engines.devices import check_device_name
    from sweep.executors.auto import check_flags_of_ray, num_workers_of, start_workers
    from sweep.plugins.users_code import contained
    from sweep.storage import back_up, database_url, study_lock
    from sweep.system.interruption import Interruption
    from sweep.tuning.plan import check_data, check_names, settle
    from sweep.tuning.plan_function import check_flags, settle_function
    from sweep.tuning.pruners import check_reports
    from sweep.tuning.session import print_start, run_to_limits
    from sweep.tuning.study import open_study, stored_settings

    check_device_name(options.device)
    check_flags_of_ray(options)
    space = _load_space(options)
    name = space.study.name if options.study is None else options.study
    seed = space.study.seed if options.seed is None else options.seed
    check_names(space, seed)
    if space.function is not None:
        check_flags(options)
    data = check_data(space) if space.function is None else None
    url = database_url(options.studies, options.storage)
    with Interruption() as interruption, study_lock(url, name) as lock:
        stored = stored_settings(url, name)
        if stored is None:
            check_reports(space)
        back_up(url)
        num_workers = num_workers_of(options, stored or {})
        started = start_workers(options, num_workers, interruption.check, space, stored or {})
        with started as workers, contained(space.users_code if workers is None else None):
            if data is not None:
                settled = settle(options, space, stored or {}, seed, data, workers)
            else:
                settled = settle_function(options, space, stored or {}, seed, workers)
            space = settled.space
            study = open_study(url, name, space, settled.settings, stored)
            study.ended_in_order = lock.ended_in_order
            change = study.code_change()
            if change is not None:
                print(change, flush=True)
            if not options.quiet:
                print_start(space, url, name, settled, options.trials or space.study.num_trials)
            with closing(study.write_behind):
                run_to_limits(options, space, study, settled.settings, interruption, workers)


def _load_space(options: argparse.Namespace) -> "Space":
    from sweep.plugins.users_code import look_in
    from sweep.space.file import load_space, parse_choice

    space = load_space(options.space, options.overrides)
    if space.users_code is not None:
        look_in(options.space.resolve().parent, Path.cwd())
    sampler, pruner = getattr(options, "sampler", None), getattr(options, "pruner", None)
    if sampler is not None and sampler != space.sampler.name:  # else its options stay those of the file
        space = replace(space, sampler=parse_choice(sampler, "--sampler"))
    if pruner is not None and pruner != space.pruner.name:
        space = replace(space, pruner=parse_choice(pruner, "--pruner"))
    return space


def _read_study(url: str, name: str) -> "optuna.Study":
    """To show; the trials of other programs that are set aside are named."""
    from sweep.storage import read_study, set_aside_lines

    study = read_study(url, name)
    for line in set_aside_lines(name, study.get_trials(deepcopy=False)):
        print(one_line(line), file=sys.stderr)
    return study


def list(options: argparse.Namespace) -> None:
    """A line for each study."""
    from sweep.cli.show import print_studies
    from sweep.storage import database_url, list_studies

    damaged: dict[str, StudyError] = {}
    studies = list_studies(database_url(options.studies, options.storage), damaged)
    print_studies(studies, as_json=options.json)
    if damaged:
        raise StudyError("; ".join(map(str, damaged.values())))


def show(options: argparse.Namespace) -> None:
    """A study's trials, or one of them."""
    from sweep.cli.show import print_csv, print_json, print_table
    from sweep.cli.show_trial import find_trial, print_epochs_csv, print_trial, print_trial_json
    from sweep.storage import database_url

    study = _read_study(database_url(options.studies, options.storage), options.study)
    if options.trial is None:
        printer = print_json if options.json else print_csv if options.csv else print_table
        printer(study)
    else:
        trial = find_trial(study, options.trial)
        trial_printer = print_trial_json if options.json else print_epochs_csv if options.csv else print_trial
        trial_printer(study, trial)


def dashboard(options: argparse.Namespace) -> None:
    """Serve optuna-dashboard until Ctrl-C."""
    from sweep.cli.dashboard import Shown, serve
    from sweep.storage import database_url

    url = database_url(options.studies, options.storage)
    if options.write and options.best:
        raise InputError("--best: the pages rename a study by copying what they see of it; remove --write or --best")
    shown = Shown(options.study or None, options.best)
    serve(url, options.port, shown, write=options.write, public=options.public)


def copy(options: argparse.Namespace) -> None:
    """A study into another database."""
    from sweep.storage import backend_of, copy_study, database_url

    source = database_url(options.studies, options.source, "--from")
    target = database_url(options.studies, options.target, "--to")
    counts = copy_study(options.study, source, target)
    shown = ", ".join(f"{count:,} {table.replace('_', ' ')}" for table, count in counts.items() if count)
    print(f"study {options.study}: {backend_of(source).name} -> {backend_of(target).name}: {shown}; compared, equal")


def confirm(options: argparse.Namespace) -> None:
    """Train the best configs from fresh seeds, go on where that stands; say which is best."""
    from sweep.engines.devices import check_device_name
    from sweep.plugins.users_code import contained, look_for_recorded, recorded_code
    from sweep.results.confirm import Confirming
    from sweep.results.confirm_plan import plan_confirmation
    from sweep.results.confirmation import read_confirmation
    from sweep.results.confirmation_table import print_confirmation
    from sweep.storage import WriteBehindStorage, database_url, read_study, study_lock
    from sweep.system.interruption import Interruption
    from sweep.tuning.plan import settle_again
    from sweep.tuning.session import make_executor
    from sweep.tuning.study import SETTINGS

    check_device_name(options.device)
    url, name = database_url(options.studies, options.storage), options.study
    _read_study(url, name)  # a wrong name shall leave no lock file behind
    with Interruption() as interruption, study_lock(url, name):
        study = read_study(url, name)
        plan = plan_confirmation(study, options.top, options.num_seeds, again=options.again)
        stored = study.user_attrs[SETTINGS]
        code = recorded_code(stored.get("code"))
        if plan.space.users_code is not None:
            look_for_recorded(code, Path.cwd())
        with contained(plan.space.users_code):
            settled = settle_again(options, plan.space, stored, plan.num_runs)
        change = plan.code_change(settled.settings.code)
        if change is not None:
            print(change, flush=True)
        with contained(plan.space.users_code), closing(WriteBehindStorage(url, name)) as storage:
            say = (lambda _: None) if options.quiet else print
            confirming = Confirming(storage, plan, settled.settings, interruption, say, again=options.again)
            say(settled.choice.line())
            say(confirming.start_line())
            confirming.run(make_executor(options, plan.space, settled.settings, interruption))
    confirmation = read_confirmation(read_study(url, name).user_attrs)
    assert confirmation is not None
    print_confirmation(confirmation)


def export(options: argparse.Namespace) -> None:
    """Config files of trials, the best ones or those named."""
    from sweep.config.study_name import study_folder
    from sweep.plugins.users_code import announce
    from sweep.results.export import export_trials
    from sweep.space.file import stored_family_code
    from sweep.storage import database_url
    from sweep.storage.stored_trials import section
    from sweep.tuning.study import SETTINGS

    study = _read_study(database_url(options.studies, options.storage), options.study)
    code = stored_family_code(section(study.user_attrs, SETTINGS))
    if code is not None:
        announce(code)
    folder = options.out or study_folder(options.studies, options.study) / "configs"
    for path in export_trials(study, options.trial, options.top, folder):
        print(path)


def train(options: argparse.Namespace) -> None:
    """One seed of a config."""
    retrain(options)


def retrain(options: argparse.Namespace) -> None:
    """Train a config's seeds and evaluate them, or repeat the sweep's own run and compare."""
    from sweep.config.file import read_config
    from sweep.engines.auto import operation_threads
    from sweep.engines.cpu import default_onednn
    from sweep.engines.devices import check_device_name, set_up_device
    from sweep.engines.precision import fast_precision, slow_precision_note
    from sweep.plugins.users_code import announce, code_of, contained, look_for_recorded, print_change, recorded_code
    from sweep.results.seed_results import stored_precision
    from sweep.system.interruption import Interruption

    check_device_name(options.device)
    on = [] if options.on is None else [f"data.train_on={options.on}"]
    config, provenance = read_config(options.config, [*options.overrides, *on])
    recorded = recorded_code(provenance.code) if provenance else None
    if config.model.users_code is not None:
        look_for_recorded(recorded, options.config.resolve().parent, Path.cwd())
    to_verify = provenance if options.verify else None
    if options.verify and to_verify is None:
        raise InputError(f"{options.config}: has no [provenance] to verify; `sweep export` writes it")
    threads = options.threads or (to_verify.threads if to_verify else os.cpu_count()) or 1
    num_threads = operation_threads(to_verify.engine, threads) if to_verify else threads
    onednn = provenance.onednn if provenance else default_onednn()
    device = set_up_device(options.device, threads, options.gpu_memory_gb, operation_threads=num_threads, onednn=onednn)
    folder = _models_folder(options, provenance)
    stored = None if to_verify else stored_precision(folder)
    config = config.with_precision(stored or fast_precision(device))
    print(f"device: {device.description}")
    for note in (device.note, slow_precision_note(device, [config])):
        if note:
            print(note)
    if config.model.users_code is not None:
        code = code_of(config.model.users_code)
        announce(code)
        print_change(code, recorded)
    with Interruption() as interruption, contained(config.model.users_code):
        if to_verify is not None:
            _verify(config, to_verify, device, threads, options.tolerance, interruption)
        else:
            _retrain(options, config, folder, interruption)


def _models_folder(options: argparse.Namespace, provenance: "Provenance | None") -> Path:
    from sweep.config.study_name import study_folder

    of_study = options.studies if provenance is None else study_folder(options.studies, provenance.study)
    folder: Path = options.out or of_study / "models" / options.config.stem
    return folder


def _verify(
    config: "TrialConfig",
    provenance: "Provenance",
    device: "Device",
    threads: int,
    tolerance: float | None,
    interruption: "Interruption",
) -> None:
    from sweep.engines.registry import make_engine
    from sweep.executors.in_process import InProcessExecutor
    from sweep.results.verify import TOLERANCE, check_recorded, verify

    check_recorded(config, provenance, device.keras_backend)
    widest = [tuple(widths) for widths in provenance.widest]
    engine = make_engine(provenance.engine, provenance.num_lanes, threads, interruption.check, widest)
    verify(config, provenance, InProcessExecutor(engine), TOLERANCE if tolerance is None else tolerance)
    print("verified: the stored score is reproduced")


def _retrain(options: argparse.Namespace, config: "TrialConfig", folder: Path, interruption: "Interruption") -> None:
    from sweep.data import load
    from sweep.results.retrain import Retraining, one_retraining
    from sweep.results.saved_model import how_to_use

    dataset = load(config.data)
    print(f"{folder}: {len(dataset.train)} train, {len(dataset.validation)} validation images")
    print(f"images reach the model as float32 in {dataset.image_range}")
    if config.data.validation == "test":
        print("the validation images are the test set, as the config says: what is chosen by them promises too much")
    with one_retraining(folder), interruption.polled():
        content = Retraining(config, options.num_seeds, folder, pause=interruption.check).run()
    accuracy = content["test_accuracy"]
    deviation = accuracy["standard_deviation"]
    spread = "" if deviation is None else f", standard deviation {deviation:.4f}"
    of = f"{counted(len(content['seeds']), 'seed')}, {counted(content['num_test'], 'test image')}"
    print(f"test accuracy {accuracy['mean']:.4f}{spread}, {of}")
    for line in how_to_use(folder, content):
        print(line)


def report(options: argparse.Namespace) -> None:
    """A study as a page, compared with others."""
    from sweep.config.study_name import study_folder
    from sweep.results.report import make_page, write_page
    from sweep.storage import database_url

    names = [options.study, *options.others]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"study {twice} is named twice; name each study once")
    url = database_url(options.studies, options.storage)
    path = options.out or study_folder(options.studies, options.study) / "report.html"
    page = make_page([_read_study(url, name) for name in names])
    write_page(page, path)
    print(f"{path} ({len(page.encode()) / 1e6:.1f} MB)")
