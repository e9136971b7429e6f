"""Format a confirmation as table rows and as JSON values."""

import math
from typing import Any

from sweep.results.confirmation import Candidate, Confirmation

COLUMNS = ("rank", "trial", "rank in sweep", "score in sweep", "mean", "95 % interval", "deviation", "seeds")


def rows(confirmation: Confirmation) -> list[list[str]]:
    """Return a row of cells for each candidate, the ranked ones first.

    Args:
        confirmation: The confirmation.

    Returns:
        Cells in the order of `COLUMNS`; a dash for a missing value.
    """
    ranked = [_row(str(rank), one) for rank, one in enumerate(confirmation.ranking, start=1)]
    return ranked + [_row("-", one) for one in confirmation.unranked]


def records(confirmation: Confirmation) -> list[dict[str, Any]]:
    """Return a JSON object for each candidate, the ranked ones first.

    Args:
        confirmation: The confirmation.

    Returns:
        Values by name; None for a missing value.
    """
    ranks = {one.trial: rank for rank, one in enumerate(confirmation.ranking, start=1)}
    return [
        {
            "trial": one.trial,
            "rank": ranks.get(one.trial),
            "rank_in_sweep": one.rank_in_sweep,
            "score_in_sweep": one.score_in_sweep,
            "mean": one.mean if one.scores else None,
            "interval": [one.interval.low, one.interval.high] if len(one.scores) > 1 else None,
            "standard_deviation": one.deviation if len(one.scores) > 1 else None,
            "scores": {str(seed): score for seed, score in one.scores.items()},
            "errors": {str(seed): error for seed, error in one.errors.items()},
        }
        for one in [*confirmation.ranking, *confirmation.unranked]
    ]


def _row(rank: str, one: Candidate) -> list[str]:
    start = [rank, str(one.trial), str(one.rank_in_sweep), f"{one.score_in_sweep:.4f}"]
    if not one.scores:
        return [*start, "-", "-", "-", "0"]
    interval = one.interval
    between = "-" if math.isnan(interval.low) else f"{interval.low:.4f} to {interval.high:.4f}"
    deviation = "-" if math.isnan(one.deviation) else f"{one.deviation:.4f}"
    return [*start, f"{interval.mean:.4f}", between, deviation, str(len(one.scores))]
