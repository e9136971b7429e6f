"""Workers killed, stopped and short of memory while a real tuner sweeps on them, on a real SQLite file."""

import math
import os
import random
import resource
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from faults.fault import Fault
from sweeps import make_space, open_in, read_trials, run_sweep

from sweep.config.trial import TrialConfig
from sweep.errors import SweepStopped
from sweep.executors.base import Event, LaneLost, LaneRetried
from sweep.executors.local.workers import LocalWorkers
from sweep.executors.pool import Workers
from sweep.space.file import load_space
from sweep.storage import database_url
from sweep.tuning.limits import Limits
from sweep.tuning.progress import QuietProgress
from sweep.tuning.tuner import Tuner

NUM_TRIALS = 16
EPOCHS = 6
EPOCH_S = "0.004"
WINDOWS = ("before start", "after start", "before an epoch", "in an epoch", "after report", "after tell")
DEATHS = {"cause", "error", "traceback"}


class Unlucky(Workers):
    """Hurts one of its workers now and then, in a window drawn at random; at most so many."""

    def tempt_fate(self, chooser: random.Random, hurt: Callable[[int], None], most: float = math.inf) -> None:
        """Call before anything else."""
        self._chooser, self._hurt, self._most = chooser, hurt, most
        self.num_hurt = 0
        self.lost: list[LaneLost] = []
        self.num_retried = 0
        self._draw()

    def start(self, lane: int, config: TrialConfig, **options: bool) -> None:
        self._reach("before start")
        super().start(lane, config, **options)
        self._reach("after start")

    def stop(self, lane: int) -> None:
        self._reach("after tell")
        super().stop(lane)

    def wait(self) -> list[Event]:
        self._reach("after report")
        self._reach("before an epoch")
        timer = None
        if self._is_time("in an epoch"):
            timer = threading.Timer(self._chooser.uniform(0, 1.5 * float(EPOCH_S)), self._hurt_one)
            timer.start()
        events = super().wait()
        if timer is not None:
            timer.join()
        self.lost += [event for event in events if isinstance(event, LaneLost)]
        self.num_retried += sum(isinstance(event, LaneRetried) for event in events)
        return events

    def _draw(self) -> None:
        self._window, self._passages = self._chooser.choice(WINDOWS), self._chooser.randint(1, 6)

    def _is_time(self, window: str) -> bool:
        self._passages -= window == self._window
        if window != self._window or self._passages > 0 or self.num_hurt >= self._most:
            return False
        self._draw()
        return True

    def _reach(self, window: str) -> None:
        if self._is_time(window):
            self._hurt_one()

    def _hurt_one(self) -> None:
        try:
            self._hurt(self._chooser.choice(self.pids))
            self.num_hurt += 1
        except ProcessLookupError:
            pass  # it was being replaced


class UnluckyWorkers(Unlucky, LocalWorkers):
    """Of processes."""

    def __init__(self, num_workers: int, chooser: random.Random, hurt: Callable[[int], None], **options: Any) -> None:
        super().__init__([{"SWEEP_FAKE_EPOCH_S": EPOCH_S}] * num_workers, **options)
        self.tempt_fate(chooser, hurt)


def kill(pid: int) -> None:
    """As the kernel does when memory is short, or an operator."""
    os.kill(pid, signal.SIGKILL)


def hang(pid: int) -> None:
    """It is there, and does nothing."""
    os.kill(pid, signal.SIGSTOP)


def starve(pid: int) -> None:
    """From now on it gets no more memory."""
    resource.prlimit(pid, resource.RLIMIT_AS, (1, resource.RLIM_INFINITY))


def hurt_workers(
    hurt: Callable[[int], None], engine: str = "fake", **options: Any
) -> Callable[[int, int, Path], list[str]]:
    """A fault's `run`: sweeps one after another until as many workers were hurt as asked for."""

    def run(count: int, seed: int, folder: Path) -> list[str]:
        chooser, violations, num_hurt, number = random.Random(seed), [], 0, 0
        while num_hurt < count:
            number += 1
            found, times = _one_sweep(folder / str(number), chooser, hurt, engine, options)
            num_hurt += times
            violations += [f"sweep {number}: {violation}" for violation in found]
        return violations

    return run


def _one_sweep(
    folder: Path, chooser: random.Random, hurt: Callable[[int], None], engine: str, options: dict[str, Any]
) -> tuple[list[str], int]:
    """The same trials as in one process, but for those that were hurt more often than they are retried."""
    num_workers, num_lanes = chooser.choice([(1, 1), (2, 1), (3, 2), (1, 4)])
    space = make_space("random", "none", epochs=EPOCHS)
    study = open_in(folder / "hurt", space, num_workers=num_workers, num_lanes=num_lanes)
    workers = UnluckyWorkers(num_workers, chooser, hurt, **options)
    workers.make(engine, num_lanes, 1)
    stopped = False
    try:
        Tuner(study, space, workers, Limits(NUM_TRIALS), SilentProgress(), seed=0).run()
    except SweepStopped:
        stopped = True  # three trials running were killed too often: as it should
    run_sweep(folder / "unhurt", space, NUM_TRIALS)
    return _violations(folder, workers, stopped), workers.num_hurt


class SilentProgress(QuietProgress):
    """Says nothing."""

    def notice(self, text: str) -> None:
        """Nothing."""


def _violations(folder: Path, workers: UnluckyWorkers, stopped: bool) -> list[str]:
    hurt, unhurt = read_trials(folder / "hurt"), read_trials(folder / "unhurt")
    found = []
    if len(hurt) != NUM_TRIALS and not stopped:
        found.append(f"{len(hurt)} trials instead of {NUM_TRIALS}")
    if [trial["number"] for trial in hurt] != list(range(len(hurt))):
        found.append("numbers are not 0, 1, 2, ...")
    running = [trial["number"] for trial in hurt if not stopped and trial["state"] in ("RUNNING", "WAITING")]
    found += [f"trial {number} is left running" for number in running]
    failed = [trial for trial in hurt if trial["state"] == "FAIL"]
    if len(failed) != len(workers.lost):
        found.append(f"{len(failed)} trials are FAIL, {len(workers.lost)} were lost")
    if workers.num_hurt > 3 and not (workers.num_retried or workers.lost):
        found.append("nothing was hurt: the fault was not injected")
    told = [trial for trial in hurt if trial["state"] == "COMPLETE"]
    found += [f"trial {trial['number']} differs" for trial in told if trial != unhurt[trial["number"]]]
    return found + [f"trial {trial['number']}: {problem}" for trial in failed for problem in _problems(trial, unhurt)]


def _problems(trial: dict[str, Any], unhurt: list[dict[str, Any]]) -> list[str]:
    """Of a failed trial: what it told before must be right, and its cause known."""
    values, unbroken = trial["intermediate_values"], unhurt[trial["number"]]["intermediate_values"]
    problems = [] if all(unbroken[epoch] == value for epoch, value in values.items()) else ["wrong epochs"]
    return problems + ([] if set(trial["user_attrs"]) >= {"cause", "error"} else ["no cause"])


def kill_in_training(count: int, seed: int, folder: Path) -> list[str]:
    """Real training: packed lanes of two workers, TPE and the median pruner; a sweep of the same kind unhurt."""
    chooser, violations, num_hurt, number = random.Random(seed), [], 0, 0
    _sweep_packed(folder / "unhurt", LocalWorkers([{}] * 2))
    while num_hurt < count:
        number += 1
        workers = UnluckyWorkers(2, chooser, kill, num_retries=100)
        _sweep_packed(folder / str(number), workers)
        if read_trials(folder / str(number)) != read_trials(folder / "unhurt"):
            violations.append(f"sweep {number} differs from the unhurt one")
        num_hurt += workers.num_hurt
    return violations


def _sweep_packed(folder: Path, workers: LocalWorkers) -> None:
    space = load_space(Path(__file__).with_name("packed.toml"))
    workers.set_up("cpu", 1, operation_threads=1)
    workers.make("packed", 2, 1)
    study = open_in(folder, space, engine="packed", num_lanes=2, num_workers=2)
    Tuner(study, space, workers, Limits(NUM_TRIALS), SilentProgress(), seed=0).run()


def enqueue_many(count: int, seed: int, folder: Path) -> list[str]:
    """500 enqueued trials on 16 workers, so many times."""
    return [
        f"round {number}: {violation}"
        for number in range(count)
        for violation in _one_queue(folder / str(number), 500 if count > 1 else 60)
    ]


def _one_queue(folder: Path, num_trials: int) -> list[str]:
    space = make_space("random", "none", epochs=2)
    study = open_in(folder, space, num_workers=16)
    plain = optuna.load_study(study_name="study", storage=database_url(folder))
    for number in range(num_trials):
        plain.enqueue_trial({"momentum": number / num_trials * 0.9})
    workers = LocalWorkers([{}] * 16)
    workers.make("fake", 1, 1)
    study.write_behind.close()
    study = open_in(folder, space, num_workers=16)
    Tuner(study, space, workers, Limits(num_trials), SilentProgress(), seed=0).run()
    trials = read_trials(folder)
    wanted = [number / num_trials * 0.9 for number in range(num_trials)]
    problems = [] if len(trials) == num_trials else [f"{len(trials)} trials for {num_trials} enqueued"]
    if sorted(trial["params"]["momentum"] for trial in trials) != wanted:
        problems.append("not every enqueued trial ran exactly once")
    return problems + [f"trial {trial['number']}: {trial['state']}" for trial in trials if trial["state"] != "COMPLETE"]


HOLDS = "no told result lost, one final state a trial, the total exact, nothing RUNNING; all others as unhurt"

FAULTS = [
    Fault("kill -9 a worker", HOLDS, 1000, 2, hurt_workers(kill)),
    Fault("kill -9 a worker that trains packed lanes", "the study equals the unhurt one", 20, 0, kill_in_training),
    Fault("worker hangs (SIGSTOP)", HOLDS, 50, 1, hurt_workers(hang, trial_timeout_s=0.5)),
    Fault(
        "worker out of memory (RLIMIT_AS)", HOLDS, 100, 1, hurt_workers(starve, engine="failing_engines:HungryEngine")
    ),
    Fault("16 workers, enqueued trials", "every one runs exactly once", 5, 1, enqueue_many),
]
