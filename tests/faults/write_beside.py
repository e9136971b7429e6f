"""Another process writes into the study while a sweep runs: plain Optuna, optuna-dashboard's HTTP API, and SQL.

This process is the other one: it tells running trials, enqueues, asks, adds and annotates at random moments; at the end
of some sweeps it deletes or renames the study, or deletes a trial's row. Some sweeps are killed and started again among
all that.
"""

import logging
import random
import signal
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from faults.fault import Fault
from faults.sweep_process import EPOCHS, Sweep, SweepProcess, count_rows
from optuna.trial import FrozenTrial, TrialState
from sweeps import request

from sweep.cli.dashboard_server import create_app

logging.getLogger("optuna_dashboard").setLevel(logging.CRITICAL)
SWEEPS = [Sweep(50, sampler, num_lanes, 0.02) for sampler in ("random", "tpe") for num_lanes in (1, 4)]
LEAVES = 20  # finished trials before the end, the writer stops: what it wrote must have been noticed at the end
LOST_RACES = (
    optuna.exceptions.StorageInternalError,
    optuna.exceptions.UpdateFinishedTrialError,
    ValueError,
)


def write_beside(count: int, seed: int, folder: Path) -> list[str]:
    """Sweep after sweep, each with many writes beside it."""
    chooser, violations, num_written, number = random.Random(seed), [], 0, 0
    while num_written < count:
        number += 1
        writer = Writer(folder / str(number), chooser)
        violations += [f"sweep {number}: {violation}" for violation in writer.write_beside(chooser.choice(SWEEPS))]
        num_written += len(writer.done)
    return violations


@dataclass
class Writer:
    """The other program, and what it remembers of its writes."""

    folder: Path
    chooser: random.Random
    done: list[str] = field(default_factory=list)
    told: dict[int, tuple[TrialState, float | None]] = field(default_factory=dict)
    unsaid: set[int] = field(default_factory=set)  # told, and whether the sweep has said so is open
    enqueued: list[float] = field(default_factory=list)
    noted: dict[int, str] = field(default_factory=dict)

    def write_beside(self, sweep: Sweep) -> list[str]:
        """One sweep; what went wrong."""
        process, output, killed = SweepProcess(sweep, self.folder), "", False
        last = self.chooser.choice((None, None, "delete_study", "rename_study", "delete_row"))
        while count_rows(self.folder, "trials") < 2 and process.is_running:
            time.sleep(0.01)
        self._open()
        while process.is_running and self._num_finished() < sweep.num_trials - LEAVES:
            time.sleep(self.chooser.uniform(0, 0.1))
            self._write_something()
            if not killed and self.chooser.random() < 0.05:
                process.send(signal.SIGKILL)
                process.end()
                output, killed = output + process.output, True
                self.unsaid.clear()  # of what was set to before it has loaded the study, the next process knows nothing
                process = SweepProcess(sweep, self.folder)
                while process.is_running and "study study in" not in process.output:
                    time.sleep(0.01)
        if last is not None and not self._write_while_it_stands(process, sweep, last):
            last = None
        code = process.end()
        return self._problems(sweep, code, output + process.output, last)

    def _write_while_it_stands(self, process: SweepProcess, sweep: Sweep, last: str) -> bool:
        """The sweep is stopped outside of its transactions: it would end before a long write does."""
        process.send(signal.SIGSTOP)
        while not self._is_free():
            process.send(signal.SIGCONT)
            time.sleep(0.005)
            process.send(signal.SIGSTOP)
        is_done = self._num_finished() < sweep.num_trials and getattr(self, f"_{last}")()
        process.send(signal.SIGCONT)
        self.done += [last] * is_done
        return bool(is_done)

    def _is_free(self) -> bool:
        with closing(sqlite3.connect(self.folder / "sweep.db", 0)) as database, suppress(sqlite3.OperationalError):
            database.execute("BEGIN IMMEDIATE")
            return True
        return False

    def _open(self) -> None:
        url = f"sqlite:///{self.folder / 'sweep.db'}"
        self._study = optuna.load_study(study_name="study", storage=url)
        self._app = create_app(url, write=True)

    def _num_finished(self) -> int:
        return sum(trial.state.is_finished() for trial in self._study.get_trials(deepcopy=False))

    # ---- writes ----

    def _write_something(self) -> None:
        what = self.chooser.choice(("tell", "tell_by_dashboard", "enqueue", "ask", "add", "note"))
        with suppress(*LOST_RACES):
            if getattr(self, f"_{what}")():
                self.done.append(what)

    def _running(self) -> FrozenTrial | None:
        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return self.chooser.choice(running) if running else None

    def _tell(self) -> bool:
        trial, value = self._running(), self.chooser.choice((None, self.chooser.random()))
        if trial is None:
            return False
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        self._study.tell(trial.number, value, state)
        return self._remember(trial.number, state, value)

    def _tell_by_dashboard(self) -> bool:
        trial, value = self._running(), self.chooser.random()
        if trial is None:
            return False
        body = {"state": "Complete", "values": [value]}
        status, _ = request(self._app, "POST", f"/api/trials/{trial._trial_id}/tell", body)
        return status == 204 and self._remember(trial.number, TrialState.COMPLETE, value)

    def _remember(self, number: int, state: TrialState, value: float | None) -> bool:
        """Optuna looks at a trial and tells it in two steps: the sweep may have told it in between."""
        trial = self._study.get_trials(deepcopy=False)[number]
        is_ours = (trial.state, trial.value) == (state, value) and "history" not in trial.user_attrs
        if is_ours:
            self.told[number] = (state, value)
            self.unsaid.add(number)
        return is_ours

    def _enqueue(self) -> bool:
        momentum = self.chooser.uniform(0, 0.9)
        self._study.enqueue_trial({"momentum": momentum})
        self.enqueued.append(momentum)
        return True

    def _ask(self) -> bool:
        self._study.ask()
        return True

    def _add(self) -> bool:
        value = self.chooser.random()
        distribution = optuna.distributions.FloatDistribution(0.0, 0.9)
        params, distributions = {"momentum": 0.5}, {"momentum": distribution}
        self._study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=value))
        return True

    def _note(self) -> bool:
        trial = self._running()
        if trial is None:
            return False
        self._study._storage.set_trial_user_attr(trial._trial_id, "mine", text := str(self.chooser.random()))
        self.noted[trial.number] = text
        return True

    def _delete_study(self) -> bool:
        optuna.delete_study(study_name="study", storage=self._study._storage)
        return True

    def _rename_study(self) -> bool:
        """A copy and a deletion. Optuna reads without a snapshot: a torn copy of a running trial is refused."""
        path = f"/api/studies/{self._study._study_id}/rename"
        return request(self._app, "POST", path, {"study_name": "renamed"})[0] == 201

    def _delete_row(self) -> bool:
        with closing(sqlite3.connect(self.folder / "sweep.db", 30)) as database, database:
            rows = [row for (row,) in database.execute("SELECT trial_id FROM trials")]
            database.execute("DELETE FROM trials WHERE trial_id = ?", (self.chooser.choice(rows),))
        return True

    # ---- what must be true ----

    def _problems(self, sweep: Sweep, code: int | None, output: str, last: str | None) -> list[str]:
        if last is not None:
            is_said = code == 2 and "by another program" in output.splitlines()[-1]
            return [] if is_said else [f"{last}: ended with {code}: {output[-1000:]}"]
        trials = self._study.get_trials(deepcopy=False)
        found = [] if code == 0 and "Traceback" not in output else [f"ended with {code}: {output[-2000:]}"]
        if [trial.number for trial in trials] != list(range(len(trials))):
            found.append("numbers are not 0, 1, 2, ...")
        if self._num_finished() < sweep.num_trials:
            found.append(f"{self._num_finished()} finished trials instead of {sweep.num_trials}")
        for number, (state, value) in self.told.items():
            if (trials[number].state, trials[number].value) != (state, value):
                found.append(f"trial {number} was set to {state.name} {value}, and is {trials[number]}")
            is_said = any(
                f"trial {number} {words} by another program" in output
                for words in (f"was set to {state.name}", f"({state.name}) was added")
            )
            if number in self.unsaid and not is_said:
                found.append(f"that trial {number} was set to is not said")
        found += [f"the note on trial {n} is gone" for n, text in self.noted.items() if _mine(trials[n]) != text]
        ours = [trial for trial in trials if "seed" in trial.user_attrs and trial.number not in self.told]
        found += [f"trial {trial.number} is {trial}" for trial in ours if not _is_whole(trial)]
        wanted = sorted(self.enqueued)
        queue = [t.system_attrs["fixed_params"]["momentum"] for t in trials if "fixed_params" in t.system_attrs]
        ran = [t.params["momentum"] for t in trials if "fixed_params" in t.system_attrs and "momentum" in t.params]
        if sorted(queue) != wanted or not set(ran) <= set(wanted) or len(ran) != len(set(ran)):
            found.append(f"enqueued {wanted}, there are {queue}, run were {ran}")
        return found


def _mine(trial: FrozenTrial) -> Any:
    return trial.user_attrs.get("mine")


def _is_whole(trial: FrozenTrial) -> bool:
    """Finished by the sweep, with every epoch once."""
    num_epochs = len(trial.user_attrs.get("history", []))
    is_length = num_epochs == len(trial.intermediate_values) and (num_epochs == EPOCHS or trial.state.name == "PRUNED")
    return trial.state.is_finished() and is_length


FAULTS = [
    Fault(
        "foreign writers while a sweep runs",
        "noticed, said, nothing overwritten, every number once; a study that is gone ends the sweep in one line",
        200,
        3,
        write_beside,
    )
]
