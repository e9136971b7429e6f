"""Parameters: the same values here, in Optuna, and at the corners that are checked before a sweep."""

from typing import Any

import optuna
import pytest

from sweep.space.parameters import Categorical, Float, Int, combined_params, extreme_params, suggest_active

RANGES = [
    (Float(type="float", low=0.0, high=1.0, step=0.3), [0.0, 0.3, 0.6, 0.9]),
    (Float(type="float", low=0.1, high=0.3, step=0.1), [0.1, 0.2, 0.3]),
    (Float(type="float", low=0.5, high=0.5), [0.5]),
    (Float(type="float", low=1e-6, high=1e-2, log=True), None),
    (Int(type="int", low=1, high=8, step=3), [1, 4, 7]),
    (Int(type="int", low=2, high=4), [2, 3, 4]),
    (Categorical(type="categorical", choices=["relu", "tanh"]), ["relu", "tanh"]),
    (Categorical(type="categorical", choices=[True, False]), [True, False]),
    (Categorical(type="categorical", choices=[16, 0.5]), [16, 0.5]),
]


@pytest.mark.parametrize(("parameter", "values"), RANGES)
def test_optuna_suggests_exactly_the_stated_values(parameter: Any, values: list | None) -> None:
    """Without Optuna's warning about a range that its step does not divide: warnings are errors here."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    suggested = [parameter.suggest(study.ask(), "value") for _ in range(40)]
    assert parameter.values() == values
    if values is None:
        assert all(parameter.low <= value <= parameter.high for value in suggested)
    else:
        assert sorted(set(suggested)) == (
            sorted(values) if isinstance(values[0], str) else pytest.approx(sorted(values))
        )
        assert {type(value) for value in suggested} == {type(value) for value in values}


def test_log_ranges_are_drawn_evenly_over_orders_of_magnitude() -> None:
    parameter = Float(type="float", low=1e-6, high=1e-2, log=True)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [parameter.suggest(study.ask(), "l2") for _ in range(400)]
    assert 150 < sum(value < 1e-4 for value in drawn) < 250


def test_a_range_of_billions_is_checked_without_listing_it() -> None:
    parameter = Int(type="int", low=0, high=2**53)
    assert parameter.extremes() == [0, 2**53]
    assert parameter.can_be(2**52)
    assert not parameter.can_be(-1)


def test_a_parameter_is_asked_for_only_where_all_its_conditions_hold() -> None:
    parameters = {
        "optimizer": Categorical(type="categorical", choices=["sgd", "adam"]),
        "nesterov": Categorical(type="categorical", choices=[True, False], when={"optimizer": "sgd"}),
        "momentum": Float(type="float", low=0, high=1, when={"optimizer": ["sgd"], "nesterov": [True]}),
    }
    seen = {tuple(params) for params in extreme_params(parameters)}
    assert seen == {("optimizer",), ("optimizer", "nesterov"), ("optimizer", "nesterov", "momentum")}
    trial = optuna.trial.FixedTrial({"optimizer": "sgd", "nesterov": False, "momentum": 0.5})
    assert suggest_active(parameters, trial) == {"optimizer": "sgd", "nesterov": False}


def test_every_pair_of_corners_is_visited_and_what_a_condition_asks_for() -> None:
    parameters = {
        "kernel": Int(type="int", low=1, high=5),
        "pool": Int(type="int", low=1, high=3),
        "extra": Float(type="float", low=0, high=1, when={"kernel": 4}),
    }
    pairs = {(params["kernel"], params["pool"]) for params in extreme_params(parameters)}
    assert pairs >= {(kernel, pool) for kernel in (1, 4, 5) for pool in (1, 3)}
    assert {0.0, 1.0} <= {params["extra"] for params in extreme_params(parameters) if params["kernel"] == 4}


def test_all_parameters_at_their_highest_at_once_are_visited() -> None:
    sizes = {f"filters_{number}": Categorical(type="categorical", choices=[64, 8, 16]) for number in range(6)}
    padding = Categorical(type="categorical", choices=["same", "valid"])
    visited = list(extreme_params({**sizes, "padding": padding}))
    for choice in padding.choices:
        assert {**dict.fromkeys(sizes, 64), "padding": choice} in visited


def test_combined_params_visit_all_corners_of_the_named_parameters() -> None:
    parameters = {name: Int(type="int", low=0, high=9) for name in ("a", "b", "c", "d")}
    seen = {(params["a"], params["c"], params["d"]) for params in combined_params(parameters, ["a", "c", "d"])}
    assert len(seen) == 8


def test_a_space_without_parameters_has_one_empty_set_of_params() -> None:
    assert list(extreme_params({})) == [{}]
    assert list(combined_params({}, [])) == [{}]


@pytest.mark.parametrize(
    ("low", "high", "step", "values"),
    [
        (0.0, 3e-14, 1e-14, [0.0, 1e-14, 2e-14, 3e-14]),
        (0.0, 0.8477931307877506, 0.8477931307877506, [0.0, 0.8477931307877506]),
        (0.1, 0.75, 0.1, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
    ],
)
@pytest.mark.filterwarnings("ignore:.* is experimental:optuna.exceptions.ExperimentalWarning")
def test_a_step_of_any_number_of_digits_gives_its_points(
    low: float, high: float, step: float, values: list[float]
) -> None:
    """Optuna's brute force, which lists the points of the distribution it is asked with, tries the same."""
    parameter = Float(type="float", low=low, high=high, step=step)
    assert parameter.values() == values
    study = optuna.create_study(sampler=optuna.samplers.BruteForceSampler(seed=0))
    study.optimize(lambda trial: parameter.suggest(trial, "x"))
    assert sorted(trial.params["x"] for trial in study.trials) == pytest.approx(values, rel=1e-12)
