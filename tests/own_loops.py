"""A user's own training loops, named in space files of tests: also found by worker processes."""

import os
import random
import time

import numpy as np
import optuna


def curve(x: float, step: int) -> float:
    """What a step reports: both global generators, and what the trial before may not have left."""
    return x * (1 - 0.5**step) + 0.01 * random.random() + 0.01 * float(np.random.normal())


def loop(trial, x: float, y: float = 0.0) -> float:
    """Reports nine steps, and may be pruned after each."""
    value = 0.0
    for step in range(1, 10):
        value = curve(x, step)
        trial.report(value, step)
        trial.set_user_attr(f"at {step}", round(value, 3))
        if trial.should_prune():
            raise optuna.TrialPruned
    return value + 1


def plain(trial) -> float:
    """Has the trial alone, asks the pruner every third step, and gives up where x is small."""
    if trial.params["x"] < -4:
        trial.set_user_attr("why", "too small")
        raise optuna.TrialPruned
    for step in range(9):
        trial.report(curve(trial.params["x"], step), step)
        if step % 3 == 2 and trial.should_prune():
            raise optuna.TrialPruned
    return trial.params["x"]


def drifting(trial, x: float) -> float:
    """Reports what the clock says."""
    for step in range(9):
        trial.report(time.time(), step)
    return x


def deadly(trial, x: float) -> float:
    """Ends its process at its third step for half of the values."""
    for step in range(5):
        if step == 2 and x > 0:
            os._exit(3)
        trial.report(x, step)
    return x


def failing(trial, x: float) -> float:
    """Something else goes wrong at each x from 0 to 6."""
    trial.report(float(x), 0)
    if x == 0:
        raise KeyError("no such row")
    if x == 1:
        raise SystemExit("enough")
    if x == 2:
        trial.report(float("nan"), 1)
    if x == 3:
        trial.set_user_attr("seed", 1)
    if x == 4:
        trial.report(1.0, -1)
    if x == 5:
        return "7"
    return float(x)


def limits(trial, x: float) -> float:
    """Says what it may use of the machine."""
    from threadpoolctl import threadpool_info

    trial.set_user_attr(
        "threads",
        [
            os.environ.get("OMP_NUM_THREADS"),
            *{one["num_threads"] for one in threadpool_info() if "numpy" in one["filepath"]},
        ],
    )
    trial.set_user_attr("gpus", os.environ.get("CUDA_VISIBLE_DEVICES"))
    trial.report(x, 0)
    return x


def objective(trial):
    """A plain Optuna program: define-by-run, with a parameter that is asked for in the middle of the training."""
    kind = trial.suggest_categorical("kind", ["flat", "steep", None])
    x = trial.suggest_float("x", 0.1, 4.5, log=True)
    width = trial.suggest_int("width", 1, 9, step=2) if kind == "steep" else 1
    for step in range(4):
        trial.report(curve(x * width, step), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    y = trial.suggest_float("y", -1.0, 1.0)
    trial.set_user_attr("seen", dict(trial.params))
    for step in range(4, 8):
        trial.report(curve(x * width, step) - y**2, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return x * width - y**2


def contradicting(trial):
    """Its ranges differ from trial to trial in a way that Optuna refuses."""
    return trial.suggest_categorical("x", ["a", "b"] if trial.number else ["a", "c"]) == "a"


SAMPLER = optuna.samplers.TPESampler(n_startup_trials=3, multivariate=True)
PRUNER = optuna.pruners.MedianPruner(n_startup_trials=3)
