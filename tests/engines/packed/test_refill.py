"""A whole sweep through few lanes, refilled as trials end: real Tuner, real pruning, every trial trained once more."""

import json
from collections.abc import Collection
from typing import Any

import pytest
from sweeps import make_space, open_in

from sweep.config.trial import TrialConfig
from sweep.engines.base import Outcome
from sweep.engines.packed.engine import PackedEngine
from sweep.engines.weak_lru_cache import WeakLruCache
from sweep.executors.in_process import InProcessExecutor
from sweep.space.space import Space
from sweep.tuning.limits import Limits
from sweep.tuning.progress import QuietProgress
from sweep.tuning.tuner import Tuner
from tests.engines.packed.packing import ON_TENSORFLOW

NUM_TRIALS, NUM_LANES = (500, 16) if ON_TENSORFLOW else (40, 8)
SPACE: dict[str, Any] = {  # four structures; some rates diverge
    "initial_learning_rate": {
        "key": "schedule.initial_learning_rate",
        "type": "float",
        "low": 1e-3,
        "high": 1e9,
        "log": True,
    },
    "num_convolutions": {"type": "int", "low": 1, "high": 2},
    "filters_1": {"key": "model.filters.1", "type": "int", "low": 1, "high": 5},
    "filters_2": {"key": "model.filters.2", "type": "int", "low": 1, "high": 4, "when": {"num_convolutions": 2}},
    "dense_units": {"key": "model.dense_units", "type": "int", "low": 3, "high": 12},
    "dropout": {"key": "model.dropout", "type": "categorical", "choices": [0.0, 0.4]},
}
FEW = {"num_train": 100, "num_validation": 50}


class ObservedEngine(PackedEngine):
    """Notes of each round how many lanes trained, what was compiled, how many trials and structures had come."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.num_admitted = 0
        self.rounds: list[dict[str, int]] = []

    def admit(self, lane: int, config: TrialConfig) -> None:
        super().admit(lane, config)
        self.num_admitted += 1

    def train_epoch(self, lanes: Collection[int] | None = None) -> dict[int, Outcome]:
        outcomes = super().train_epoch(lanes)
        self.rounds.append(
            {
                "lanes": len(outcomes),
                "compilations": self.num_compilations,
                "admitted": self.num_admitted,
                "structures": len(self._programs.values()),
            }
        )
        return outcomes


@pytest.fixture(scope="module")
def space() -> Space:
    sections = {"space": SPACE, "data": FEW, "optimizer": {"name": "sgd"}, "model": {"pool": 2}}
    return make_space(pruner="median", training={"epochs": 4, "batch_size": 25}, **sections)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, space: Space) -> Any:
    """(the engine, the study's trials) of a sweep."""
    engine = ObservedEngine(num_lanes=NUM_LANES, num_threads=2, widest=space.widest())
    study = open_in(tmp_path_factory.mktemp("study"), space, num_lanes=NUM_LANES)
    Tuner(study, space, InProcessExecutor(engine), Limits(NUM_TRIALS), QuietProgress(), seed=0).run()
    return engine, study.frozen_trials()


@pytest.mark.slow
def test_the_sweep_is_worth_its_tests(swept: Any) -> None:
    """Trials of each end and of each structure."""
    engine, trials = swept
    states = [trial.state.name for trial in trials]
    assert len(trials) == NUM_TRIALS
    if ON_TENSORFLOW:
        assert min(states.count(state) for state in ("COMPLETE", "PRUNED", "FAIL")) >= 20
    assert {trial.user_attrs["cause"] for trial in trials if trial.state.name == "FAIL"} <= {"nan"}
    assert len(engine._programs.values()) == 4


@pytest.mark.slow
def test_every_trial_is_its_own_fresh_run(swept: Any, space: Space) -> None:
    """In fresh variables and, for some, freshly compiled too: bit for bit what it was between strangers."""
    engine, trials = swept
    for trial in trials:
        history = trial.user_attrs["history"]
        config = space.resolve(trial.params, trial.user_attrs["seed"])
        programs = WeakLruCache(9) if trial.number % 100 == 99 else engine._programs
        assert fresh_run(config, len(history), space, programs) == comparable(history), trial.number


def fresh_run(config: TrialConfig, num_epochs: int, space: Space, programs: "WeakLruCache[Any, Any]") -> str:
    engine = PackedEngine(1, widest=space.widest())
    engine._programs = programs
    for program in programs.values():
        if ON_TENSORFLOW:
            program._free.clear()
    engine.admit(0, config)
    outcomes: list[Any] = [engine.train_epoch()[0] for _ in range(num_epochs)]
    return comparable([metrics.values() for metrics in outcomes])


def comparable(history: list[dict[str, Any]]) -> str:
    """As JSON, in which NaN equals NaN and every digit of a float stands."""
    return json.dumps([{key: value for key, value in epoch.items() if key != "seconds"} for epoch in history])


@pytest.mark.slow
def test_nothing_is_compiled_once_the_shapes_were_seen(swept: Any) -> None:
    rounds = swept[0].rounds
    compilations = {(counts["structures"], counts["compilations"]) for counts in rounds}
    programs = 1 if ON_TENSORFLOW else 2  # JAX: training, and validation
    assert compilations == {(structures, programs * structures) for structures, _ in compilations}
    assert rounds[len(rounds) // 2]["structures"] == 4


@pytest.mark.slow
def test_no_lane_is_idle_while_trials_wait_whatever_their_structures(swept: Any) -> None:
    rounds = [counts["lanes"] for counts in swept[0].rounds if counts["admitted"] < NUM_TRIALS]
    assert rounds == [NUM_LANES] * len(rounds)
    assert len(rounds) > 20 if ON_TENSORFLOW else rounds
