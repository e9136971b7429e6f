"""Train the candidates of a `ConfirmPlan`, and store the validation score of each run.

A score is the study's metric at the epoch whose weights are kept. Each result is stored when its run ends, so that the
same command resumes after an interruption, and more seeds or candidates train only the runs that are missing.
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
from sweep.plugins.user_code import recorded_code
from sweep.results.confirm_plan import ConfirmPlan
from sweep.storage import CONFIRMATION, STUDY_ID, Wait, WriteBehindStorage
from sweep.system.interruption import Interruption
from sweep.text import counted

REPRODUCIBILITY_KEYS = ("engine", "threads", "device", "keras_backend", "onednn", "data_hash")
MADE_WITH = (*REPRODUCIBILITY_KEYS, "num_lanes", "versions", "code")


@dataclass(frozen=True)
class _RunKey:
    """Identify a run by its trial, its seed, and its fold of the data (0 without cross-validation)."""

    trial: int
    seed: int
    fold: int


class ConfirmSession:
    """One `sweep confirm` of a study: `run` trains the runs that are not stored yet.

    Args:
        storage: The study's storage, open for writing.
        plan: The candidates and their seeds.
        settings: How the runs are trained: engine, device, data, versions.
        interruption: Raises Interrupted once a signal has arrived.
        say: Called with each line for the user.
        again: Discard the stored scores first.

    Raises:
        InputError: The stored scores were made with another engine, device, data or user code.
    """

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
        self._storage, self._plan, self._interruption, self._say = storage, plan, interruption, say
        self._wait = Wait(interruption.check, say)
        stored = {} if again else storage.get_study_user_attrs(STUDY_ID).get(CONFIRMATION, {})
        made_with = {key: value for key, value in asdict(settings).items() if key in MADE_WITH}
        _check_made_with(stored.get("made_with", made_with), made_with)
        self._record = _merged(stored, plan, made_with)
        self._missing = self._missing_runs()
        self._num_left = len(self._missing)

    def start_line(self) -> str:
        """Return a line on the runs to train."""
        plan, num_folds = self._plan, self._plan.num_folds
        folds = f" on {num_folds} folds" if num_folds > 1 else ""
        stored = plan.num_runs - len(self._missing)
        trials = ", ".join(map(str, plan.configs))
        seeds, runs = counted(len(plan.seeds), "seed"), counted(plan.num_runs, "run")
        return f"trials {trials} with {seeds}{folds}: {runs}, {stored} already stored"

    def run(self, executor: Executor) -> None:
        """Train the runs that are missing, and store each result.

        Args:
            executor: Trains the runs; it is closed at the end.

        Raises:
            Interrupted: A signal arrived; the results so far are stored.
        """
        with self._interruption.polled(), closing(executor):
            self._store()  # the candidates' ranks in the sweep may have changed
            queue = RunQueue(executor, self._missing, check=self._interruption.check, notice=self._say)
            for runs in queue.rounds():
                self._store_results([run for run in runs if run.is_over])

    def _missing_runs(self) -> list[QueuedRun[_RunKey]]:
        """Return the missing runs seed by seed, so that the scores stored before an interruption are paired."""
        return [
            QueuedRun(_RunKey(trial, seed, fold), self._name(trial, seed, fold), config)
            for seed in self._plan.seeds
            for trial in self._plan.configs
            for fold, config in enumerate(self._plan.runs(trial, seed))
            if self._results(trial, seed)[fold] is None
        ]

    def _results(self, trial: int, seed: int) -> list[dict[str, Any] | None]:
        """Return the record's results of a seed by fold, None for runs that are missing."""
        runs: dict[str, Any] = self._record["candidates"][str(trial)]["runs"]
        return runs.setdefault(str(seed), [None] * self._plan.num_folds)  # type: ignore[no-any-return]

    def _store_results(self, ended: Sequence[QueuedRun[_RunKey]]) -> None:
        """Store the results of a round in one transaction."""
        results = [_result(run, self._plan.metric) for run in ended]
        for run, result in zip(ended, results, strict=True):
            self._results(run.key.trial, run.key.seed)[run.key.fold] = result
        if results:
            self._store()
        for run, result in zip(ended, results, strict=True):
            self._num_left -= 1
            self._say(f"{run.name}: {_score_text(result)}  [{counted(self._num_left, 'run')} left]")

    def _name(self, trial: int, seed: int, fold: int) -> str:
        return f"trial {trial} seed {seed}{f' fold {fold + 1}' if self._plan.num_folds > 1 else ''}"

    def _store(self) -> None:
        with self._storage.transaction(self._wait):
            self._storage.set_study_user_attr(STUDY_ID, CONFIRMATION, self._record)


def _score_text(result: Mapping[str, Any]) -> str:
    return f"{result['score']:.4f}" if "score" in result else f"failed: {result['error']}"


def _result(run: QueuedRun[_RunKey], metric: str) -> dict[str, Any]:
    if run.lost is not None:
        return {"error": run.lost.error}
    last = run.history[-1]
    if last.is_pruned:
        return {"error": "the function raised TrialPruned"}
    if last.not_finite():
        return {"error": not_finite_line(last)}
    (score,) = run_values(run.history, [metric])
    return {"score": score, "best_epoch": last.best_epoch, "num_epochs": last.epoch}


def _check_made_with(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    code = recorded_code(now.get("code"))
    change = code.change_since(recorded_code(before.get("code"))) if code is not None else None
    if change is not None:
        raise InputError(
            f"the stored scores are of different user code: {change}; restore it, or discard the scores with --again"
        )
    for key in REPRODUCIBILITY_KEYS:
        if before.get(key) != now.get(key):
            raise InputError(
                f"the stored scores were made with {key} {before.get(key)}, now it is {now.get(key)}; "
                "use the same value, or discard the scores with --again"
            )


def _merged(stored: Mapping[str, Any], plan: ConfirmPlan, made_with: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored record with the plan's candidates, with their current ranks and scores in the sweep."""
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
