"""What `sweep confirm` found, as it is stored with a study: scores of the best trials' configs from fresh seeds.

The best of many scores is an optimistic one, as it was chosen for its luck too (the winner's curse). Fresh seeds, the
same for each config, have none of it. Reads and reckons; `confirm` trains and stores.
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
    """A mean with its confidence interval; without one (NaN) where there are fewer than two values."""

    mean: float
    low: float
    high: float


def mean_interval(values: Sequence[float]) -> Interval:
    """Student's t interval of the mean: `mean +- t(0.975, n - 1) * s / sqrt(n)`, s the sample standard deviation.

    Student, The probable error of a mean, Biometrika 6 (1908).
    """
    mean = fmean(values)
    if len(values) < 2:
        return Interval(mean, math.nan, math.nan)
    from scipy.stats import t

    half = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


@dataclass(frozen=True)
class Candidate:
    """A trial's config: its place and score in the sweep, and a score from each seed that was trained."""

    trial: int
    rank_in_sweep: int  # 1 for the best
    score_in_sweep: float
    scores: Mapping[int, float]  # by seed
    errors: Mapping[int, str]  # by seed, of runs that failed

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return fmean(self.scores.values())

    @property
    def interval(self) -> Interval:
        """Of the mean over the seeds."""
        return mean_interval([*self.scores.values()])

    @property
    def deviation(self) -> float:
        """Sample standard deviation; NaN of fewer than two scores."""
        return stdev(self.scores.values()) if len(self.scores) > 1 else math.nan


@dataclass(frozen=True)
class Confirmation:
    """All of it. `candidates` are in the order of the sweep."""

    metric: str
    maximize: bool
    seeds: Sequence[int]
    candidates: Sequence[Candidate]

    @property
    def ranking(self) -> list[Candidate]:
        """The candidates with a score from every seed, best mean first; ties as in the sweep."""
        sign = -1 if self.maximize else 1
        whole = [one for one in self.candidates if len(one.scores) == len(self.seeds)]
        return sorted(whole, key=lambda one: (sign * one.mean, one.rank_in_sweep))

    @property
    def unranked(self) -> list[Candidate]:
        """Those that failed from some seed, or were not trained from each yet."""
        return [one for one in self.candidates if len(one.scores) < len(self.seeds)]

    def words(self) -> list[str]:
        """What it says of the first against the second, and of the best score of the sweep."""
        ranking = self.ranking
        if not ranking:
            return ["no config has a score from every seed yet", *self._failures()]
        return [*self._first_and_second(ranking), *self._promise(), *self._failures()]

    def _first_and_second(self, ranking: Sequence[Candidate]) -> list[str]:
        if len(ranking) < 2:
            return [f"trial {ranking[0].trial} was not compared: no other config has a score from every seed"]
        first, second = ranking[:2]
        sign = 1 if self.maximize else -1
        gains = mean_interval([sign * (first.scores[seed] - second.scores[seed]) for seed in self.seeds])
        one, other, n = f"trial {first.trial}", f"trial {second.trial}", len(self.seeds)
        if math.isnan(gains.low):
            return [f"{one} is better than {other} by {gains.mean:.4g} from one seed, which tells little"]
        shown = f"by {gains.mean:.4g} (95 % interval {gains.low:.4g} to {gains.high:.4g}, {n} paired seeds)"
        if gains.low > 0:
            return [f"{one} is really better than {other}: {shown}"]
        return [f"{one} and {other} are not told apart: the first is better {shown}; more --seeds may"]

    def _promise(self) -> list[str]:
        """How far the best score of the sweep is from what its config gives."""
        chosen = min(self.candidates, key=lambda one: one.rank_in_sweep)
        if len(chosen.scores) < len(self.seeds):
            return []
        too_much = (chosen.score_in_sweep - chosen.mean) * (1 if self.maximize else -1)
        verdict = f"{abs(too_much):.4g} {'too much' if too_much > 0 else 'too little'}"
        return [f"the sweep's best score, {chosen.score_in_sweep:.4f} of trial {chosen.trial}, promised {verdict}"]

    def _failures(self) -> list[str]:
        return [
            f"trial {one.trial} is not ranked: {len(one.errors)} of {len(self.seeds)} seeds failed "
            f"({next(iter(one.errors.values()))})"
            for one in self.unranked
            if one.errors
        ]


def read_confirmation(user_attrs: Mapping[str, Any]) -> Confirmation | None:
    """From the attributes of a study; None if there is none, or what stands there is another program's."""
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
            {seed: fmean(scores) for seed in seeds if (scores := _whole(one["runs"].get(str(seed), [])))},
            {seed: errors[0] for seed in seeds if (errors := _errors(one["runs"].get(str(seed), [])))},
        )
        for number, one in stored["candidates"].items()
    ]
    ordered = sorted(candidates, key=lambda one: one.rank_in_sweep)
    return Confirmation(str(stored["metric"]), bool(stored["maximize"]), seeds, ordered)


def _whole(runs: Sequence[Mapping[str, Any] | None]) -> list[float]:
    """The scores of a seed's runs (one, or one for each fold), if all are there."""
    scores = [float(run["score"]) for run in runs if run is not None and "score" in run]
    return scores if len(scores) == len(runs) else []


def _errors(runs: Sequence[Mapping[str, Any] | None]) -> list[str]:
    return [str(run["error"]) for run in runs if run is not None and "error" in run]
