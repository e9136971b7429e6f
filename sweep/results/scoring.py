"""Metrics of the stored validation predictions of a study's best trials."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from sweep.engines.predictions import Predictions
from sweep.errors import InputError, SpaceError
from sweep.metrics import LOGGED_METRICS, METRICS, load_direction
from sweep.metrics.scores import find_metric, number_of
from sweep.results.stored_study import StoredStudy
from sweep.text import error_line
from sweep.tuning.best_predictions import read_predictions


@dataclass(frozen=True)
class TrialScores:
    """The metrics of a trial.

    Attributes:
        trial: The trial.
        scores: By metric, one of each run (fold or repeat).
    """

    trial: FrozenTrial
    scores: dict[str, list[float]]

    def mean(self, metric: str) -> float:
        """Return the mean over the runs."""
        return statistics.fmean(self.scores[metric])


def score_trials(stored: StoredStudy, folder: Path, metrics: Sequence[str]) -> list[TrialScores]:
    """Compute metrics of the trials whose predictions are stored.

    Args:
        stored: The study.
        folder: The study's folder.
        metrics: Names of metrics that are functions of labels and probabilities.

    Returns:
        The trials, best first by the first metric.

    Raises:
        InputError: There is no such metric, it cannot be computed, or there are no predictions.
    """
    _check(metrics)
    complete = (trial for trial in stored.trials if trial.state == TrialState.COMPLETE)
    kept = [(trial, runs) for trial in complete if (runs := read_predictions(folder, trial))]
    if not kept:
        raise InputError(
            f"study {stored.name} has no predictions in {folder}; sweeps store them unless study.keep_predictions is 0"
        )
    scored = [
        TrialScores(trial, {metric: [_score(metric, run) for run in runs] for metric in metrics})
        for trial, runs in kept
    ]
    sign = -1 if load_direction(metrics[0]) == "maximize" else 1
    return sorted(scored, key=lambda one: sign * one.mean(metrics[0]))


def _check(metrics: Sequence[str]) -> None:
    for metric in metrics:
        problem = METRICS.problem(metric)
        if problem is None and metric in LOGGED_METRICS:
            problem = f'"{metric}" is not computed from predictions; sweep show prints it'
        if problem is not None:
            raise InputError(problem)


def _score(metric: str, run: Predictions) -> float:
    try:
        return number_of(metric, find_metric(metric)(run.labels, run.probabilities))
    except SpaceError:
        raise
    except Exception as error:  # whatever a user's metric raises
        raise InputError(f"{metric} cannot be computed: {error_line(error)}") from None
