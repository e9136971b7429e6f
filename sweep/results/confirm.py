"""Trains the candidates of a `ConfirmPlan` on the validation part, and stores every score.

A score is the study's metric at the epoch whose weights are kept. What a run gave is durable when it ends, so the same
command goes on after whatever ended it, and more seeds or candidates add what is missing.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from sweep.config.study_settings import StudySettings
from sweep.engines.base import not_finite_line, run_values
from sweep.errors import InputError
from sweep.executors.base import Executor
from sweep.executors.run_queue import QueuedRun, RunQueue
from sweep.plugins.users_code import recorded_code
from sweep.results.confirm_plan import ConfirmPlan
from sweep.storage import CONFIRMATION, STUDY_ID, Wait, WriteBehindStorage
from sweep.system.interruption import Interruption
from sweep.text import counted

DECIDES_SCORES = ("engine", "threads", "device", "keras_backend", "onednn", "data_hash")
MADE_WITH = (*DECIDES_SCORES, "num_lanes", "versions", "code")


@dataclass(frozen=True)
class _Place:
    """Where the result of a run stands: of a candidate from a seed, on a fold of the data or on all of it."""

    trial: int
    seed: int
    part: int  # the fold's index


class Confirming:
    """One `sweep confirm`: `run` trains what is not stored yet."""

    def __init__(
        self,
        storage: WriteBehindStorage,
        plan: ConfirmPlan,
        settings: StudySettings,
        interruption: Interruption,
        say: Callable[[str], None] = print,
        *,
        again: bool = False,
    ) -> None:
        """InputError if what is stored was made with another engine, device or data; `again` drops it."""
        self._storage, self._plan, self._interruption, self._say = storage, plan, interruption, say
        self._wait = Wait(interruption.check, say)
        stored = {} if again else storage.get_study_user_attrs(STUDY_ID).get(CONFIRMATION, {})
        made_with = {key: value for key, value in asdict(settings).items() if key in MADE_WITH}
        _check_made_with(stored.get("made_with", made_with), made_with)
        self._record = _merged(stored, plan, made_with)
        self._missing = self._missing_runs()
        self._num_left = len(self._missing)

    def start_line(self) -> str:
        """What is to be trained."""
        plan, num_folds = self._plan, self._plan.num_folds
        folds = f" on {num_folds} folds" if num_folds > 1 else ""
        stored = plan.num_runs - len(self._missing)
        trials = ", ".join(map(str, plan.configs))
        seeds, runs = counted(len(plan.seeds), "seed"), counted(plan.num_runs, "run")
        return f"trial {trials} from {seeds}{folds}: {runs}, {stored} stored already"

    def run(self, executor: Executor) -> None:
        """Train and store; raises Interrupted when a signal has arrived."""
        with self._interruption.polled(), closing(executor):
            self._store()  # the candidates' ranks in the sweep may have changed
            queue = RunQueue(executor, self._missing, check=self._interruption.check, notice=self._say)
            for runs in queue.rounds():
                self._keep([run for run in runs if run.is_over])

    def _missing_runs(self) -> list[QueuedRun[_Place]]:
        """Seed by seed, so that what is there after an interruption is paired."""
        return [
            QueuedRun(_Place(trial, seed, part), self._name(trial, seed, part), config)
            for seed in self._plan.seeds
            for trial in self._plan.configs
            for part, config in enumerate(self._plan.runs(trial, seed))
            if self._results(trial, seed)[part] is None
        ]

    def _results(self, trial: int, seed: int) -> list[dict[str, Any] | None]:
        """Of each fold, in the record; None where there is none yet."""
        runs: dict[str, Any] = self._record["candidates"][str(trial)]["runs"]
        return runs.setdefault(str(seed), [None] * self._plan.num_folds)  # type: ignore[no-any-return]

    def _keep(self, ended: Sequence[QueuedRun[_Place]]) -> None:
        """One transaction for the runs that ended in a round."""
        results = [_result(run, self._plan.metric) for run in ended]
        for run, result in zip(ended, results, strict=True):
            self._results(run.key.trial, run.key.seed)[run.key.part] = result
        if results:
            self._store()
        for run, result in zip(ended, results, strict=True):
            self._num_left -= 1
            self._say(f"{run.name}: {_shown(result)}  [{self._num_left} runs left]")

    def _name(self, trial: int, seed: int, part: int) -> str:
        return f"trial {trial} seed {seed}{f' fold {part + 1}' if self._plan.num_folds > 1 else ''}"

    def _store(self) -> None:
        with self._storage.transaction(self._wait):
            self._storage.set_study_user_attr(STUDY_ID, CONFIRMATION, self._record)


def _shown(result: Mapping[str, Any]) -> str:
    return f"{result['score']:.4f}" if "score" in result else f"failed: {result['error']}"


def _result(run: QueuedRun[_Place], metric: str) -> dict[str, Any]:
    if run.lost is not None:
        return {"error": run.lost.error}
    last = run.history[-1]
    if last.not_finite():
        return {"error": not_finite_line(last)}
    (score,) = run_values(run.history, [metric])
    return {"score": score, "best_epoch": last.best_epoch, "num_epochs": last.epoch}


def _check_made_with(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    code = recorded_code(now.get("code"))
    change = code.change_since(recorded_code(before.get("code"))) if code is not None else None
    if change is not None:
        raise InputError(f"the stored scores are of other code: {change}; put it back, or drop the scores with --again")
    for key in DECIDES_SCORES:
        if before.get(key) != now.get(key):
            raise InputError(
                f"the stored scores were made with {key} {before.get(key)}, now it is {now.get(key)}; "
                "ask for the same, or drop them with --again"
            )


def _merged(stored: Mapping[str, Any], plan: ConfirmPlan, made_with: Mapping[str, Any]) -> dict[str, Any]:
    """What is stored of any trial and seed stays; ranks and scores in the sweep are those of now."""
    before: Mapping[str, Any] = stored.get("candidates", {})
    candidates = {
        str(trial): {
            "rank_in_sweep": rank,
            "score_in_sweep": plan.scores[trial],
            "runs": before.get(str(trial), {}).get("runs", {}),
        }
        for rank, trial in enumerate(plan.configs, start=1)
    }
    return {
        "metric": plan.metric,
        "maximize": plan.space.directions[0] == "maximize",
        "seeds": [*plan.seeds],
        "made_with": dict(made_with),
        "candidates": {**before, **candidates},
    }
