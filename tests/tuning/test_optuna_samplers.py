"""Optuna's own cases for samplers, over ours as a sweep makes them: anew for each trial, with a history that is cut.

Not here: grid and brute_force, which are no samplers of Optuna's any more (`test_untried.py`).
"""

import functools
import importlib.util
import tomllib
import warnings

import optuna
import pytest
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)
from optuna.trial import TrialState

from sweep.space.file import parse_space
from sweep.tuning import bounded_history as history
from sweep.tuning.samplers import LISTING, MODELS_HISTORY, SAMPLERS, sampler_factory

pytestmark = [
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # NumPy's, in cmaes, of a population that is all alike
]


class HistoryView:
    """A storage of Optuna's as `RecentStorage` looks at it."""

    def __init__(self, storage):
        self._storage, self._finished = storage, []

    @property
    def finished_numbers(self):
        """In the order in which they were seen to have ended."""
        trials = self._storage.get_all_trials(0, deepcopy=False)
        self._finished += [one.number for one in trials if one.state.is_finished() and one.number not in self._finished]
        return self._finished

    @property
    def open_numbers(self):
        return [one.number for one in self._storage.get_all_trials(0, deepcopy=False) if not one.state.is_finished()]

    def __getattr__(self, name):
        return getattr(self._storage, name)


class SweptSampler(optuna.samplers.BaseSampler):
    """Makes a sampler for each trial, and shows it a part of the history, as `SweepStudy` does."""

    def __init__(self, factory, is_bounded):
        self._factory, self._is_bounded, self._made, self._seen = factory, is_bounded, {}, None

    def _of(self, study, trial):
        if trial.number not in self._made:
            self._made[trial.number] = self._make(study, trial)
        return self._made[trial.number]

    def _make(self, study, trial):
        sampler = self._factory(trial.number)
        if not self._is_bounded:
            return sampler
        if self._seen is None:
            self._seen = history.RecentStudy(study.study_name, HistoryView(study._storage), 2)
        return history.RecentSampler(sampler, self._seen)

    def infer_relative_search_space(self, study, trial):
        return self._of(study, trial).infer_relative_search_space(study, trial)

    def sample_relative(self, study, trial, search_space):
        return self._of(study, trial).sample_relative(study, trial, search_space)

    def sample_independent(self, study, trial, param_name, param_distribution):
        return self._of(study, trial).sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study, trial):
        self._of(study, trial).before_trial(study, trial)

    def after_trial(self, study, trial, state, values):
        self._of(study, trial).after_trial(study, trial, state, values)


@pytest.fixture(autouse=True)
def _short_history(monkeypatch):
    monkeypatch.setattr(history, "MOST_RECENT", 3)


def make(name, options):
    space = parse_space(tomllib.loads(f'[study]\nname = "s"\n[sampler]\nname = "{name}"\n{options}'), "my.toml")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SweptSampler(sampler_factory(space, seed=0), name in MODELS_HISTORY)


def ours(name, options=""):
    needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="gp needs torch, which is large")
    marks = [needs_torch] if name == "gp" else []
    return pytest.param(functools.partial(make, name, options), id=f"{name}-{options}", marks=marks)


AT_ONCE = "n_startup_trials = 0"
TPE_OF_ALL = f"{AT_ONCE}\nmultivariate = true\ngroup = true\nconstant_liar = true"
BASIC = [
    ours("random"),
    ours("tpe", AT_ONCE),
    ours("tpe", TPE_OF_ALL),
    ours("cmaes", AT_ONCE),
    ours("nsgaii"),
    ours("nsgaiii"),
    ours("qmc"),
    ours("gp", AT_ONCE),
    ours("partial_fixed", "fixed_params = {}"),
]
RELATIVE = [ours("tpe", f"{AT_ONCE}\nmultivariate = true"), ours("cmaes", AT_ONCE), ours("gp", AT_ONCE)]


class TestBasic(BasicSamplerTestCase):
    @pytest.fixture(params=BASIC)
    def sampler(self, request):
        return request.param


class TestRelative(RelativeSamplerTestCase):
    @pytest.fixture(params=RELATIVE)
    def sampler(self, request):
        return request.param


class TestSeveralObjectives(MultiObjectiveSamplerTestCase):
    @pytest.fixture(params=[ours("tpe", AT_ONCE), ours("nsgaii"), ours("nsgaiii"), ours("qmc")])
    def sampler(self, request):
        return request.param


class TestOneObjective(SingleOnlySamplerTestCase):
    @pytest.fixture(params=[ours("cmaes", AT_ONCE)])
    def sampler(self, request):
        return request.param


def test_every_sampler_is_among_them():
    named = {param.values[0].args[0] for param in BASIC}
    assert named == set(SAMPLERS) - set(LISTING)


def test_the_history_is_cut():
    """Or the cases above would say nothing of it."""
    study = optuna.create_study(study_name="s")
    for number in range(9):
        study.add_trial(optuna.create_trial(value=number, state=TrialState.COMPLETE))
    shown = history.RecentStudy("s", HistoryView(study._storage), 2).get_trials(deepcopy=False)
    assert [trial.number for trial in shown] == [0, 1, 6, 7, 8]
