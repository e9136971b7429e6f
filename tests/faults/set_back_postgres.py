"""A PostgreSQL is set back under a stopped launcher, as when a replica that lags behind takes over; then it wakes."""

import random
import signal
import time
from pathlib import Path

import psycopg
from faults.fault import Fault
from faults.kill_on_postgres import differences_on, start
from faults.sweep_process import Sweep, SweepProcess
from postgres_server import PostgresServer

SWEEP = Sweep(12, "tpe", 2, 0.1)
MOST_BEFORE = 40  # epochs
LOST = (1, 2, 2, 4, 12)


def set_back(count: int, seed: int, folder: Path) -> list[str]:
    """By a few epochs, of studies one after the other."""
    chooser, violations = random.Random(seed), []
    server = PostgresServer(folder / "server")
    try:
        for number in range(count):
            found = _live(server, folder / str(number), f"study-{number}", chooser)
            violations += [f"{number}: {problem}" for problem in found]
    finally:
        server.stop()
    return violations


def _live(server: PostgresServer, place: Path, name: str, chooser: random.Random) -> list[str]:
    """What was reported is gone: the sweep must say so, and the same command resume."""
    url, num_lost = server.new_database(), chooser.choice(LOST)
    process = start(SWEEP, place, url, name)
    _wait_for_epochs(process, server, url, chooser.randint(3, MOST_BEFORE))
    process.send(signal.SIGSTOP)
    time.sleep(0.1)
    server.keep(place.with_suffix(".kept"))
    kept = _num_epochs(server, url)
    process.send(signal.SIGCONT)
    _wait_for_epochs(process, server, url, kept + num_lost)
    process.send(signal.SIGSTOP)
    time.sleep(0.1)
    is_ahead = process.is_running and _num_epochs(server, url) > kept
    server.set_back(place.with_suffix(".kept"))
    process.send(signal.SIGCONT)
    code, output = process.end(), process.output
    is_said = code == 2 and "older than what was reported" in output and "same command" in output
    violations = [f"ended with {code}: {output[-700:]}"] if is_ahead and not is_said else []
    again = start(SWEEP, place, url, name)
    if again.end() != 0:
        violations.append(f"then: {again.output[-700:]}")
    return violations + differences_on(SWEEP, place.parent, url, name)


def _wait_for_epochs(process: SweepProcess, server: PostgresServer, url: str, num_epochs: int) -> None:
    while process.is_running and _num_epochs(server, url) < num_epochs:
        time.sleep(0.02)


def _num_epochs(server: PostgresServer, url: str) -> int:
    try:
        return int(server.execute("SELECT count(*) FROM trial_intermediate_values", url)[0][0])
    except psycopg.Error:  # no tables yet
        return 0


FAULTS = [
    Fault(
        "PostgreSQL is set back under a sweep",
        "one line says that the database is older, exit code 2; the same command resumes, equal to the unbroken study",
        20,
        1,
        set_back,
        needs=("postgres",),
    )
]
