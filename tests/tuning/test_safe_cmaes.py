"""The CMA-ES optimizer of a study goes on from the database as plain Optuna's does, and nothing else in it is run."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from sweep.errors import StudyError
from sweep.tuning.safe_cmaes import SafeCmaEsSampler, read_optimizer

pytestmark = pytest.mark.filterwarnings("ignore:.* is an experimental feature:optuna.exceptions.ExperimentalWarning")
SPACE = {
    "x": optuna.distributions.FloatDistribution(-3, 3),
    "n": optuna.distributions.IntDistribution(1, 9),
    "s": optuna.distributions.FloatDistribution(0, 1, step=0.25),
}
CONTINUOUS = {"x": SPACE["x"], "y": optuna.distributions.FloatDistribution(1e-4, 1, log=True)}


def tell_trials(sampler: type, space: Any, num_trials: int, study: optuna.Study | None = None, **options: Any) -> Any:
    """A study whose sampler is made anew for each trial, so that each must read the optimizer of those before."""
    study = study or optuna.create_study()
    for number in range(num_trials):
        study.sampler = sampler(seed=number, warn_independent_sampling=False, **options)
        trial = study.ask(space)
        study.tell(trial, sum(value**2 for value in trial.params.values()))
    return study


@pytest.mark.parametrize("space", [SPACE, CONTINUOUS])
@pytest.mark.parametrize("option", [None, "lr_adapt", "use_separable_cma", "with_margin"])
def test_a_study_goes_on_as_with_optunas_own_sampler(option: str | None, space: Any) -> None:
    options = {option: True} if option else {}
    ours = tell_trials(SafeCmaEsSampler, space, 40, **options)
    theirs = tell_trials(optuna.samplers.CmaEsSampler, space, 40, **options)
    assert [trial.params for trial in ours.trials] == [trial.params for trial in theirs.trials]
    assert sum(any(":optimizer:" in key for key in trial.system_attrs) for trial in ours.trials) >= 3


class Touch:
    """Its pickle makes a file when it is loaded by plain pickle."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def optimizer_with(canary: Path, **attributes: Any) -> Any:
    import cmaes

    optimizer = cmaes.CMA(mean=np.zeros(2), sigma=1.0)
    vars(optimizer).update(attributes)
    return optimizer


PAYLOADS = {
    "a call": Touch,
    "a call inside the optimizer": lambda canary: optimizer_with(canary, _mean=Touch(canary)),
    "a call in an array of objects": lambda canary: optimizer_with(canary, _mean=np.array([Touch(canary)])),
    "another attribute": lambda canary: optimizer_with(canary, ask=3),
    "a text for a number": lambda canary: optimizer_with(canary, _popsize="3"),
    "a list": lambda _: [1, 2],
    "a class": lambda _: optuna.samplers.CmaEsSampler,
    "NumPy's random state, which calls what it is given": lambda _: np.random.RandomState(0),
    "a method of a string": lambda _: "".join,
}


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("protocol", [4, 5])
def test_a_planted_pickle_is_refused_in_one_line_and_never_run(payload: str, protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    study = tell_trials(SafeCmaEsSampler, SPACE, 20)
    planted = pickle.dumps(PAYLOADS[payload](canary), protocol).hex()
    study._storage.set_trial_system_attr(study.ask(SPACE)._trial_id, "cma:optimizer:0", planted)
    study.tell(20, 1.0)
    with pytest.raises(StudyError, match=rf"^study {study.study_name}: trial 20 .*CMA-ES") as caught:
        tell_trials(SafeCmaEsSampler, SPACE, 1, study)
    assert "\n" not in str(caught.value)
    assert not canary.exists()


@pytest.mark.parametrize("damaged", ["zz", "", "8004", "80049527", pickle.dumps({}).hex()])
def test_what_is_no_pickle_is_refused_too(damaged: str) -> None:
    with pytest.raises((ValueError, EOFError, pickle.UnpicklingError)):
        read_optimizer(damaged)


def test_an_array_whose_shape_its_content_does_not_fill_is_refused() -> None:
    """NumPy's own reconstructor trusts what a pickle says of flags and kinds."""
    good = pickle.dumps(optimizer_with(Path()), 4)
    with pytest.raises((ValueError, TypeError)):
        read_optimizer(good.replace(b"K\x02\x85", b"K\x09\x85").hex())
    with pytest.raises(ValueError, match="arrays of 'O8'"):
        read_optimizer(good.replace(b"\x8c\x02f8", b"\x8c\x02O8").hex())
