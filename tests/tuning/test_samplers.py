"""Samplers: all of Optuna's by name, seeded from (seed, trial number), wrong names and options refused up front."""

import importlib.util
import tomllib
from typing import Any

import optuna
import pytest

from sweep.errors import SpaceError
from sweep.space.file import parse_space
from sweep.space.points import points_of
from sweep.space.runs import derived_seed
from sweep.space.space import Space
from sweep.tuning.samplers import SAMPLERS, sampler_factory

MOMENTUM = '[space.momentum]\nkey = "optimizer.momentum"\ntype = "float"\nlow = 0.1\nhigh = 0.9\n'
pytestmark = pytest.mark.filterwarnings("ignore:.* is experimental:optuna.exceptions.ExperimentalWarning")
GRID = MOMENTUM + "step = 0.2\n" + '[space.epochs]\nkey = "training.epochs"\ntype = "int"\nlow = 1\nhigh = 3\n'
CONDITIONAL = (
    '[space.optimizer]\nkey = "optimizer.name"\ntype = "categorical"\nchoices = ["adam", "sgd", "nadam"]\n'
    + MOMENTUM
    + 'step = 0.2\nwhen = { optimizer = "sgd" }\n'
)
OPTIONS = {
    "tpe": "n_startup_trials = 2",
    "qmc": "scramble = true",
    "cmaes": "popsize = 4",
    "nsgaii": "population_size = 4",
    "nsgaiii": "population_size = 4",
    "partial_fixed": "fixed_params = { momentum = 0.5 }",
    "brute_force": "avoid_premature_stop = true",
}
FROM_OPTUNA = {
    kind
    for kind in vars(optuna.samplers).values()
    if isinstance(kind, type) and issubclass(kind, optuna.samplers.BaseSampler)
} - {optuna.samplers.BaseSampler, optuna.samplers.BaseGASampler}


def space(name: str, options: str = "", parameters: str = GRID) -> Space:
    text = f'[study]\nname = "test"\n[sampler]\nname = "{name}"\n{options}\n{parameters}'
    return parse_space(tomllib.loads(text), "my.toml")


def sampled(the_space: Space, seed: int, num_trials: int = 6) -> list[dict[str, Any]]:
    """Params of a study that gets a fresh sampler for each trial, as an old study of a sweep does."""
    build = sampler_factory(the_space, seed, distinct=False)
    study = optuna.create_study(sampler=build(0))
    study.stop = lambda: None  # type: ignore[method-assign]  # called at the last point; only `optimize` can stop
    for number in range(num_trials):
        study.sampler = build(number)
        trial = study.ask()
        study.tell(trial, sum(value for value in the_space.suggest(trial).values() if not isinstance(value, str)))
    return [trial.params for trial in study.trials]


def test_every_sampler_that_optuna_ships_has_a_name() -> None:
    named = {next(kind for kind in one.__mro__ if kind.__module__.startswith("optuna")) for one in SAMPLERS.values()}
    assert named == FROM_OPTUNA


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - {"gp"}))  # gp needs torch
def test_a_sampler_draws_the_same_again_for_the_same_seed(name: str) -> None:
    the_space = space(name, OPTIONS.get(name, ""))
    assert isinstance(sampler_factory(the_space, 1, distinct=False)(0), SAMPLERS[name])
    first = sampled(the_space, seed=1)
    assert first == sampled(the_space, seed=1)
    assert all(1 <= params["epochs"] <= 3 and 0.1 <= params["momentum"] <= 0.91 for params in first)
    assert len({tuple(params.values()) for params in first}) > 1


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_the_draw_of_a_trial_follows_from_seed_and_number(name: str) -> None:
    the_space = space(name, parameters=MOMENTUM)
    first, other = sampled(the_space, seed=1), sampled(the_space, seed=2)
    assert first != other
    build = sampler_factory(the_space, 1)
    study = optuna.create_study(sampler=build(3))
    assert the_space.suggest(study.ask()) == first[3]


@pytest.mark.parametrize("name", ["grid", "brute_force"])
def test_exhaustive_samplers_visit_every_point_once(name: str) -> None:
    the_space = space(name)
    assert points_of(the_space).count == 15
    points = {tuple(params.values()) for params in sampled(the_space, seed=3, num_trials=15)}
    assert len(points) == 15


def test_qmc_covers_the_range_evenly() -> None:
    values = sorted(params["momentum"] for params in sampled(space("qmc", parameters=MOMENTUM), 0, num_trials=9)[1:])
    assert all(0.1 + index / 10 <= value <= 0.2 + index / 10 + 1e-9 for index, value in enumerate(values))


def test_further_attempts_of_a_trial_draw_something_else() -> None:
    build = sampler_factory(space("random", parameters=MOMENTUM), 1)
    drawn = [optuna.create_study(sampler=build(7, attempt)).ask().suggest_float("x", 0, 1) for attempt in (0, 1, 2, 1)]
    assert len(set(drawn)) == 3
    assert drawn[1] == drawn[3]


def test_qmc_varies_what_its_sequence_leaves_out() -> None:
    """A conditional parameter was drawn from one seed, so it was the same in every trial."""
    the_space = space("qmc", parameters=CONDITIONAL.replace("step = 0.2\n", ""))
    build = sampler_factory(the_space, 1)
    study = optuna.create_study(sampler=build(0))
    for number in range(20):
        study.sampler = build(number)
        trial = study.ask()
        the_space.suggest(trial)
        study.tell(trial, 1.0)
    values = [trial.params["momentum"] for trial in study.trials if "momentum" in trial.params]
    assert len(set(values)) == len(values) > 3


def test_derived_seeds_differ_and_stay_as_they_are() -> None:
    """They are stored in studies: a changed rule would break every resume."""
    assert [derived_seed(0, 0), derived_seed(0, 1), derived_seed(7, 3)] == [1484405855, 1982462498, 1733098030]
    seeds = {derived_seed(seed, number) for seed in range(30) for number in range(30)}
    assert len(seeds) == 900
    assert max(seeds) < 2**31


@pytest.mark.parametrize(
    ("name", "options", "pattern"),
    [
        ("bayes", "", 'sampler.name: "bayes" is unknown; use random, tpe'),
        ("TPESampler", "", 'sampler.name: .*did you mean "tpe"'),
        ("CmaEsSampler", "", 'sampler.name: .*did you mean "cmaes"'),
        ("tpe", "startup = 3", "sampler.startup: tpe has no such option; it takes .*n_startup_trials"),
        ("tpe", "seed = 3", "sampler.seed: tpe has no such option"),
        ("tpe", "gamma = 3", "sampler.gamma: tpe has no such option"),
        ("random", "n_startup_trials = 3", "sampler.n_startup_trials: random has no such option; it takes none"),
        ("tpe", 'n_startup_trials = "ten"', "sampler.n_startup_trials: must be int, got 'ten'"),
        ("tpe", "n_startup_trials = true", "sampler.n_startup_trials: must be int, got True"),
        ("cmaes", "sigma0 = 'a'", "sampler.sigma0: must be float"),
        ("qmc", 'qmc_type = "dice"', "sampler: .*dice"),
        ("nsgaii", "population_size = 1", "sampler: "),
        ("grid", "num_values = 1", "sampler.num_values: must be at least 2, got 1"),
        ("partial_fixed", "", "sampler: partial_fixed needs fixed_params; add .*--sampler partial_fixed:fixed_params="),
    ],
)
def test_wrong_names_and_options_are_refused_in_one_line(name: str, options: str, pattern: str) -> None:
    with pytest.raises(SpaceError, match=f"^my.toml: {pattern}") as caught:
        sampler_factory(space(name, options), 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["grid", "brute_force"])
@pytest.mark.parametrize(
    ("parameters", "pattern"),
    [
        (MOMENTUM, "space.momentum: add step = 0.2"),
        (MOMENTUM + "log = true", r'space.momentum: .*"categorical" and choices = .0.1, 0.17, 0.3, 0.52, 0.9'),
        ("", "nothing varies"),
    ],
)
def test_a_grid_needs_finitely_many_values(name: str, parameters: str, pattern: str) -> None:
    with pytest.raises(SpaceError, match=f"^my.toml: .*{pattern}"):
        sampler_factory(space(name, parameters=parameters), 0)


@pytest.mark.parametrize(("name", "package"), [("gp", "torch"), ("cmaes", "cmaes")])
def test_a_missing_package_is_said_before_any_trial(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda wanted: None if wanted == package else find(wanted))
    with pytest.raises(SpaceError, match=rf"^my.toml: sampler.name: {name} needs the package {package}; pip install"):
        sampler_factory(space(name), 0)
