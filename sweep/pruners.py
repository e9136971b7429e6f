"""`[pruner]` -> an Optuna pruner. Steps are epochs, or the runs of a trial that has several, counted from 1.

Where Optuna would derive a number from the trials it happens to have seen ("auto" resources), the most steps that a
trial can have are used: a pruner made anew on resume must decide as the first one did.
"""

from typing import Any

import optuna

from sweep.errors import SpaceError
from sweep.samplers import check_choice
from sweep.search_space import Choice, Space

PRUNERS: dict[str, Any] = {
    "none": optuna.pruners.NopPruner,
    "median": optuna.pruners.MedianPruner,
    "percentile": optuna.pruners.PercentilePruner,
    "hyperband": optuna.pruners.HyperbandPruner,
    "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
    "threshold": optuna.pruners.ThresholdPruner,
    "patient": optuna.pruners.PatientPruner,
    "wilcoxon": optuna.pruners.WilcoxonPruner,
}
OURS = ("self", "wrapped_pruner")


def build_pruner(space: Space) -> optuna.pruners.BasePruner:
    """SpaceError for an unknown name or option, before any trial."""
    choice, steps = space.pruner, space.max_steps()
    check_choice(space, choice, PRUNERS, "pruner", OURS)
    if choice.name != "none" and (space.function is not None or len(space.metrics) > 1):
        why = "a function gives its value at once" if space.function else "Optuna does not prune for several objectives"
        raise SpaceError(f'{space.source}: pruner.name: {why}; use "none" (got {choice.name})')
    try:
        return PRUNERS[choice.name](**_options(choice, steps))  # type: ignore[no-any-return]
    except Exception as error:  # Optuna checks options in many ways; a missing one is a TypeError
        raise SpaceError(f"{space.source}: pruner: {error}") from None


def _options(choice: Choice, steps: int) -> dict[str, Any]:
    options = dict(choice.options)
    if choice.name == "hyperband":
        if options.get("max_resource", "auto") == "auto":
            options["max_resource"] = steps
        least, most = options.get("min_resource", 1), options["max_resource"]
        if isinstance(most, int) and most < least:  # Optuna would fail at the first report
            raise ValueError(f"{most} steps (max_resource) are less than min_resource {least}; lower min_resource")
    if choice.name == "successive_halving" and options.get("min_resource", "auto") == "auto":
        options["min_resource"] = max(steps // 100, 1)  # Optuna's own rule, from the longest possible trial
    if choice.name == "patient":
        options.setdefault("wrapped_pruner", None)
    return options
