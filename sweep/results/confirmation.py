"""Read the scores that `sweep confirm` stored with a study, and compare the configs by them.

The best of many scores is biased upward by selection (the winner's curse). Scores with new seeds, the same for each
config, are unbiased, and are compared in pairs. `confirm` trains and stores them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from sweep.storage import CONFIRMATION

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval from `low` to `high`, which are NaN for fewer than two values."""

    mean: float
    low: float
    high: float


def mean_interval(values: Sequence[float]) -> Interval:
    """Compute Student's 95 % confidence interval of the mean.

    The interval is `mean +- t(0.975, n - 1) * s / sqrt(n)`, with s the sample standard deviation (Student, The probable
    error of a mean, Biometrika 6, 1908, pages 1-25).

    Args:
        values: At least one value.

    Returns:
        The mean with its interval.
    """
    mean = fmean(values)
    if len(values) < 2:
        return Interval(mean, math.nan, math.nan)
    from scipy.stats import t

    half = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


@dataclass(frozen=True)
class Candidate:
    """A trial whose config was trained again, with its scores.

    Attributes:
        trial: The trial's number.
        rank_in_sweep: Its rank by its score in the sweep, 1 for the best.
        score_in_sweep: Its score in the sweep.
        scores: Its scores by seed.
        errors: The errors of failed runs by seed.
    """

    trial: int
    rank_in_sweep: int
    score_in_sweep: float
    scores: Mapping[int, float]
    errors: Mapping[int, str]

    @property
    def mean(self) -> float:
        """The mean score over the seeds."""
        return fmean(self.scores.values())

    @property
    def interval(self) -> Interval:
        """The mean score with its 95 % confidence interval."""
        return mean_interval([*self.scores.values()])

    @property
    def deviation(self) -> float:
        """The sample standard deviation of the scores; NaN for fewer than two."""
        return stdev(self.scores.values()) if len(self.scores) > 1 else math.nan


@dataclass(frozen=True)
class Confirmation:
    """The scores of all candidates.

    Attributes:
        metric: The metric that the scores are of.
        maximize: Whether higher is better.
        seeds: The seeds.
        candidates: The candidates, in the order of their ranks in the sweep.
    """

    metric: str
    maximize: bool
    seeds: Sequence[int]
    candidates: Sequence[Candidate]

    @property
    def ranking(self) -> list[Candidate]:
        """The candidates with a score for every seed, best mean first, ties by the rank in the sweep."""
        sign = -1 if self.maximize else 1
        complete = [one for one in self.candidates if len(one.scores) == len(self.seeds)]
        return sorted(complete, key=lambda one: (sign * one.mean, one.rank_in_sweep))

    @property
    def unranked(self) -> list[Candidate]:
        """The candidates that lack a score for some seed, as a run failed or is missing."""
        return [one for one in self.candidates if len(one.scores) < len(self.seeds)]

    def conclusions(self) -> list[str]:
        """Compare the first with the second candidate, and the sweep's best score with its unbiased estimate.

        Returns:
            Sentences without a full stop.
        """
        ranking = self.ranking
        if not ranking:
            return ["no config has a score for every seed yet", *self._failures()]
        return [*self._first_and_second(ranking), *self._selection_bias(), *self._failures()]

    def _first_and_second(self, ranking: Sequence[Candidate]) -> list[str]:
        if len(ranking) < 2:
            return [f"trial {ranking[0].trial} was not compared: no other config has a score for every seed"]
        first, second = ranking[:2]
        sign = 1 if self.maximize else -1
        gains = mean_interval([sign * (first.scores[seed] - second.scores[seed]) for seed in self.seeds])
        one, other, n = f"trial {first.trial}", f"trial {second.trial}", len(self.seeds)
        if math.isnan(gains.low):
            return [f"{one} is better than {other} by {gains.mean:.4g}, but a confidence interval needs more --seeds"]
        gain = f"by {gains.mean:.4g} (95 % interval {gains.low:.4g} to {gains.high:.4g}, {n} paired seeds)"
        if gains.low > 0:
            return [f"{one} is significantly better than {other}: {gain}"]
        return [f"{one} is better than {other} {gain}, which is not significant at the 95 % level; use more --seeds"]

    def _selection_bias(self) -> list[str]:
        """Return how far the sweep's best score is from the mean with new seeds."""
        best = min(self.candidates, key=lambda one: one.rank_in_sweep)
        if len(best.scores) < len(self.seeds):
            return []
        bias = (best.score_in_sweep - best.mean) * (1 if self.maximize else -1)
        direction = "better" if bias > 0 else "worse"
        return [
            f"the sweep's best score, {best.score_in_sweep:.4f} of trial {best.trial}, "
            f"is {abs(bias):.4g} {direction} than its mean with new seeds"
        ]

    def _failures(self) -> list[str]:
        return [
            f"trial {one.trial} is not ranked: {len(one.errors)} of {len(self.seeds)} seeds failed "
            f"({next(iter(one.errors.values()))})"
            for one in self.unranked
            if one.errors
        ]


def read_confirmation(user_attrs: Mapping[str, Any]) -> Confirmation | None:
    """Read the confirmation of a study.

    Args:
        user_attrs: The study's user attributes.

    Returns:
        The confirmation; None if there is none, or if another program wrote what is stored.
    """
    stored = user_attrs.get(CONFIRMATION)
    try:
        return None if stored is None else _parse(stored)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _parse(stored: Mapping[str, Any]) -> Confirmation:
    seeds = [int(seed) for seed in stored["seeds"]]
    candidates = [
        Candidate(
            int(number),
            int(one["rank_in_sweep"]),
            float(one["score_in_sweep"]),
            {
                seed: fmean(scores)
                for seed in seeds
                if (scores := _scores_of_complete_seed(one["runs"].get(str(seed), [])))
            },
            {seed: errors[0] for seed in seeds if (errors := _errors(one["runs"].get(str(seed), [])))},
        )
        for number, one in stored["candidates"].items()
    ]
    ordered = sorted(candidates, key=lambda one: one.rank_in_sweep)
    return Confirmation(str(stored["metric"]), bool(stored["maximize"]), seeds, ordered)


def _scores_of_complete_seed(runs: Sequence[Mapping[str, Any] | None]) -> list[float]:
    """Return the scores of a seed's runs (one, or one for each fold) if all have one, else nothing."""
    scores = [float(run["score"]) for run in runs if run is not None and "score" in run]
    return scores if len(scores) == len(runs) else []


def _errors(runs: Sequence[Mapping[str, Any] | None]) -> list[str]:
    return [str(run["error"]) for run in runs if run is not None and "error" in run]
