"""How big a report of a large study is, and how long it takes.

    python benchmarks/report.py [--trials 5000] [--keep FILE]

Makes a study of the fake engine's trials of 20 epochs over the 6 parameters of spaces/digits.toml, random sampling,
trials below a score pruned at half, one in fifty failed; many trials a transaction, which is not measured. Then, as a
process of its own:

    sweep report    wall and CPU time of the command, its peak memory, the size of the page
"""

import argparse
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import results
from optuna.trial import TrialState
from processes import run_measured

from sweep.config.study_settings import StudySettings
from sweep.engines.fake import fake_record
from sweep.errors import Cause
from sweep.space.file import load_space
from sweep.space.space import Choice, PrunerChoice, Space
from sweep.storage import database_url
from sweep.tuning.study import SweepStudy, open_study, stored_settings

SPACE_FILE = results.ROOT / "benchmarks" / "spaces" / "digits.toml"
NAME = "large"
TRIALS_A_TRANSACTION = 250
PRUNED_BELOW = 0.55
FAILS_EACH = 50
CAUSES = tuple(Cause)
HEADER = ("trials", "epochs", "wall s", "CPU s", "peak memory MB", "page MB", "database MB")


def main() -> None:
    """Make the study, report it, append a table."""
    options = _parse_arguments()
    machine = results.describe_machine()
    with results.scratch_folder() as name:
        folder = Path(name)
        num_epochs = make_study(folder, options.trials)
        row = [options.trials, num_epochs, *measure(folder)]
        if options.keep:
            shutil.copyfile(folder / NAME / "report.html", options.keep)
    results.append(options.out, f"Report of {options.trials:,} trials", machine, results.table(HEADER, [row]))


def make_study(folder: Path, num_trials: int) -> int:
    """Write the study; returns the epochs that its trials hold."""
    space = replace(load_space(SPACE_FILE), sampler=Choice(name="random"), pruner=PrunerChoice(name="none"))
    settings = StudySettings(space.record(), {"name": "random"}, {"name": "none"}, 0, "", "fake", 1, 1, "none", "none")
    url = database_url(folder)
    study = open_study(url, NAME, space, settings, stored_settings(url, NAME))
    num_epochs = 0
    for start in range(0, num_trials, TRIALS_A_TRANSACTION):
        with study.write_behind.transaction():
            for _ in range(min(TRIALS_A_TRANSACTION, num_trials - start)):
                num_epochs += add_trial(study, space)
    return num_epochs


def add_trial(study: SweepStudy, space: Space) -> int:
    """Ask, report every epoch, tell; returns the epochs."""
    trial = study.ask_next()
    config = space.resolve(space.suggest(trial), seed=trial.number)
    half, state, history = config.training.epochs // 2, TrialState.COMPLETE, []
    for epoch in range(1, config.training.epochs + 1):
        metrics = fake_record(config, epoch)
        history.append(metrics.values())
        study.write_behind.set_trial_intermediate_value(trial.number, epoch, metrics.logs["val_accuracy"])
        if epoch == half and metrics.logs["val_accuracy"] < PRUNED_BELOW:
            state = TrialState.PRUNED
            break
    if trial.number % FAILS_EACH == FAILS_EACH - 1:
        state = TrialState.FAIL
        trial.set_user_attr("cause", CAUSES[trial.number // FAILS_EACH % len(CAUSES)].value)
        trial.set_user_attr("error", f"what went wrong in trial {trial.number}")
    trial.set_user_attr("history", history)
    study.tell_number(trial.number, state, metrics.logs["val_accuracy"] if state == TrialState.COMPLETE else None)
    return len(history)


def measure(folder: Path) -> list[float]:
    """Wall s, CPU s, peak MB of the command; MB of the page and of the database."""
    command = [sys.executable, "-m", "sweep.cli", "report", NAME, "--studies", str(folder)]
    usage = run_measured(command)
    sizes = [(folder / file).stat().st_size / 1e6 for file in (f"{NAME}/report.html", "sweep.db")]
    return [usage.wall_s, usage.cpu_s, usage.peak_mb, *sizes]


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=5000, metavar="N", help="trials of the study (5000)")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="keep the page, to look at it")
    parser.add_argument("--out", type=Path, default=results.RESULTS, metavar="FILE", help="results file to append to")
    return parser.parse_args()


if __name__ == "__main__":
    main()
