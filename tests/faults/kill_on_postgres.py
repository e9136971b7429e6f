"""kill -9 of the launcher, and restarts of the server, of a study on PostgreSQL, with three others beside it."""

import random
import signal
import time
from pathlib import Path
from typing import Any

import optuna
import psycopg
from faults.fault import Fault
from faults.sweep_process import Sweep, SweepProcess, unbroken_trials
from postgres_server import PostgresServer, using
from sweeps import trial_values

TRIALS_A_KILL = 25
KILLS_A_RESTART = 4
LANES = 4
OTHERS = ("other-1", "other-2", "other-3")
EPOCH_S = 0.01


def kill_on_postgres(count: int, seed: int, folder: Path) -> list[str]:
    """So many kills of one study's launcher, the same command each time; every few kills the server is restarted."""
    chooser, server = random.Random(seed), PostgresServer(folder / "server")
    url, sweep = server.new_database(), Sweep(TRIALS_A_KILL * count, "tpe", LANES, EPOCH_S)
    try:
        others = [start(sweep, folder / name, url, name) for name in OTHERS]
        violations = _kill_and_restart(count, chooser, server, url, sweep, folder / "killed")
        for process in others:
            code = process.end(within_s=3600)
            violations += [] if code == 0 else [f"another study ended with {code}: {process.output[-500:]}"]
        for name in ("study", *OTHERS):
            violations += differences_on(sweep, folder, url, name)
    finally:
        server.stop()
    return violations


def start(sweep: Sweep, folder: Path, url: str, name: str) -> SweepProcess:
    """`sweep run` of a study of this name on the server."""
    return SweepProcess(sweep, folder, "--study", name, before=using(url))


def _kill_and_restart(
    count: int, chooser: random.Random, server: PostgresServer, url: str, sweep: Sweep, folder: Path
) -> list[str]:
    violations, num_restarts, apart = [], 0, sweep.num_trials / (count + 2)  # trials: the last kill leaves some to do
    for number in range(1, count + 1):
        before = _num_finished(server, url)
        process = start(sweep, folder, url, "study")
        if number % KILLS_A_RESTART == 0:  # in the middle of the sweep: it has told a trial
            _wait_for_trials(process, server, url, max(before + 1, int(apart * (number - 0.5))))
            time.sleep(chooser.uniform(0, 0.3))
            server.restart(by_kill=chooser.random() < 0.5)
            num_restarts += 1
        is_there = _wait_for_trials(process, server, url, int(apart * number))
        time.sleep(chooser.uniform(0, 0.3))
        process.send(signal.SIGKILL)
        code = process.end()
        if not is_there or code != -signal.SIGKILL:
            violations.append(f"kill {number}: ended with {code} before it: {process.output[-500:]}")
    process = start(sweep, folder, url, "study")
    code = process.end(within_s=3600)
    print(f"{count} kills, {num_restarts} restarts of the server", flush=True)
    return violations + ([] if code == 0 else [f"ended with {code}: {process.output[-500:]}"])


def _wait_for_trials(process: SweepProcess, server: PostgresServer, url: str, num_trials: int) -> bool:
    """Wait until so many of its trials are finished; False if the process ended before."""
    while process.is_running:
        if _num_finished(server, url) >= num_trials:
            return True
        time.sleep(0.02)
    return False


def _num_finished(server: PostgresServer, url: str) -> int:
    query = (
        "SELECT count(*) FROM trials JOIN studies USING (study_id) "
        "WHERE study_name = 'study' AND state IN ('COMPLETE', 'PRUNED', 'FAIL')"
    )
    try:
        return int(server.execute(query, url)[0][0])
    except psycopg.Error:  # no tables yet, or the server is away
        return 0


def differences_on(sweep: Sweep, folder: Path, url: str, name: str) -> list[str]:
    """Trials of a study on the server that are not as in the unbroken study."""
    stored = optuna.load_study(study_name=name, storage=url).trials
    trials, unbroken = [trial_values(trial) for trial in stored], unbroken_trials(sweep, folder)
    lost: list[Any] = [trial["number"] for trial in unbroken if trial not in trials]
    if len(trials) == len(unbroken) and not lost:
        return []
    return [f"{name}: {len(trials)} trials instead of {len(unbroken)}; different: {lost[:5]}"]


HOLDS = "0 lost, 0 twice, also over restarts of the server"
FAULTS = [Fault("kill -9 the sweep on PostgreSQL", HOLDS, 20, 0, kill_on_postgres, needs=("postgres",))]
