"""Steps of reports are plain Optuna's, so pruners spare and judge the same epochs; people read epochs from 1."""

import optuna
import pytest
from sweeps import make_space, open_in, read_trials, run_sweep

from sweep.cli.parser import main
from sweep.engines.fake import FakeEngine
from sweep.executors.in_process import InProcessExecutor
from sweep.results.report.data import read_data
from sweep.results.report.history import _curves
from sweep.space.space import PrunerChoice, Space
from sweep.tuning.limits import Limits
from sweep.tuning.progress import QuietProgress
from sweep.tuning.pruners import build_pruner
from sweep.tuning.tuner import Tuner

EPOCHS, NUM_TRIALS = 9, 24
PRUNERS = {
    "median": {"n_startup_trials": 2, "n_warmup_steps": 3, "interval_steps": 2},
    "percentile": {"percentile": 25.0, "n_startup_trials": 2},
    "hyperband": {},
    "successive_halving": {"min_resource": 2, "reduction_factor": 2},
    "threshold": {"lower": 0.6, "n_warmup_steps": 4},
    "patient": {"patience": 0, "wrapped_pruner": "median"},
}


def pruned_space(name: str) -> Space:
    pruner = PrunerChoice(name=name, options=PRUNERS.get(name, {}))
    space = make_space("random", epochs=EPOCHS)
    return Space(space.source, space.study, space.sampler, pruner, space.fixed, space.parameters)


@pytest.fixture(scope="module")
def curves(tmp_path_factory):
    """Of each trial of a sweep without a pruner, the scores by step."""
    folder = tmp_path_factory.mktemp("unpruned")
    run_sweep(folder, pruned_space("none"), NUM_TRIALS)
    return [trial["intermediate_values"] for trial in read_trials(folder)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("name", PRUNERS)
def test_pruners_decide_after_the_epochs_at_which_plain_optuna_does(tmp_path, curves, name):
    run_sweep(tmp_path, pruned_space(name), NUM_TRIALS)
    plain = optuna.create_study(study_name="study", direction="maximize", pruner=build_pruner(pruned_space(name)))
    for scores in curves:
        trial = plain.ask()
        state = optuna.trial.TrialState.COMPLETE
        for epoch in range(EPOCHS):  # as Keras's callback, which counts from 0
            trial.report(scores[epoch], epoch)
            if epoch < EPOCHS - 1 and trial.should_prune():
                state = optuna.trial.TrialState.PRUNED
                break
        plain.tell(trial, scores[EPOCHS - 1] if state.name == "COMPLETE" else None, state=state)
    ours = [len(trial["intermediate_values"]) for trial in read_trials(tmp_path)]
    assert ours == [len(trial.intermediate_values) for trial in plain.trials]
    assert (min(ours) < EPOCHS) == (name != "patient")
    spared = PRUNERS[name].get("n_warmup_steps", 0)
    assert min(ours) > spared


@pytest.mark.slow
def test_epochs_are_read_from_one_whatever_the_steps(tmp_path, capsys):
    """A study from before, whose steps count from 1, goes on with that count, and reads like a new one."""
    shown = []
    for name, first_step in (("new", 0), ("old", 1)):
        folder = tmp_path / name
        space = pruned_space("median")
        open_in(folder, space, first_step=first_step, distinct=False)
        study = run_sweep_from(folder, space, first_step)
        trial = study.trials[0]
        assert sorted(trial.intermediate_values) == [*range(first_step, first_step + EPOCHS)]
        assert main(["show", "study", "0", "--csv", "--studies", str(folder)]) == 0
        shown.append([row.split(",")[:2] for row in capsys.readouterr().out.splitlines()])
        assert list(_curves(read_data(study), [trial], "all", {}, 1.0).x) == [*range(1, EPOCHS + 1), None]
    assert [row[1] for row in shown[0]] == ["epoch", *map(str, range(1, EPOCHS + 1))]
    assert all(row[0] for row in shown[0])
    assert shown[0] == shown[1]


def run_sweep_from(folder, space, first_step):
    """A sweep in two processes, of which the second only has what is stored."""
    for num_trials in (1, 3):
        study = open_in(folder, space, first_step=first_step if num_trials == 1 else 0)
        Tuner(study, space, InProcessExecutor(FakeEngine()), Limits(num_trials), QuietProgress(), seed=0).run()
    return study
