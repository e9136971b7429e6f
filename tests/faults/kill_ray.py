"""Actors of a Ray killed while a real tuner sweeps on them, on a real SQLite file."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from faults.fault import Fault
from faults.kill_workers import EPOCH_S, EPOCHS, SilentProgress, Unlucky, kill
from ray_nodes import OF_ONE_CPU, two_nodes
from sweeps import make_space, open_in, read_trials, run_sweep

from sweep.executors.ray.workers import RayWorkers
from sweep.tuning.limits import Limits
from sweep.tuning.tuner import Tuner

TRIALS_A_KILL = 12
NUM_WORKERS, NUM_LANES = 2, 2


class UnluckyActors(Unlucky, RayWorkers):
    """Of a Ray."""

    def __init__(self, chooser: random.Random, hurt: Callable[[int], None], most: int, **options: Any) -> None:
        with mock.patch.dict(os.environ, {"SWEEP_FAKE_EPOCH_S": EPOCH_S}):  # read here, for all actors to come
            super().__init__(NUM_WORKERS, OF_ONE_CPU, {}, **options)
        self.tempt_fate(chooser, hurt, most)


def kill_actors(count: int, seed: int, folder: Path) -> list[str]:
    """All in one sweep, which must equal the unhurt one."""
    space, num_trials = make_space("random", "none", epochs=EPOCHS), TRIALS_A_KILL * count
    study = open_in(folder / "hurt", space, num_workers=NUM_WORKERS, num_lanes=NUM_LANES)
    with two_nodes(), UnluckyActors(random.Random(seed), kill, count, num_retries=1000) as workers:
        workers.make("fake", NUM_LANES, 1)
        Tuner(study, space, workers, Limits(num_trials), SilentProgress(), seed=0).run()
    run_sweep(folder / "unhurt", space, num_trials)
    hurt, unhurt = read_trials(folder / "hurt"), read_trials(folder / "unhurt")
    found = (
        [] if workers.num_hurt == count else [f"{workers.num_hurt} kills instead of {count}: a longer sweep is needed"]
    )
    found += [] if len(hurt) == num_trials else [f"{len(hurt)} trials instead of {num_trials}"]
    different = [str(one["number"]) for one, other in zip(hurt, unhurt, strict=False) if one != other]
    return found + ([f"trials {', '.join(different)} differ"] if different else [])


HOLDS = "the totals exact, nothing twice: the study equals the unhurt one"
FAULTS = [Fault("kill -9 an actor of Ray", HOLDS, 50, 1, kill_actors, needs=("ray",))]
