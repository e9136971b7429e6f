"""Create the Optuna pruner of `[pruner]`. Steps are epochs, or runs if a trial has several, counted from 0 as in Keras.

So with `n_warmup_steps = 5` no trial is pruned in its first five epochs, and Hyperband decides on a rung at resource 3
at step 3, after the fourth epoch, as in plain Optuna. Older studies count steps from 1, and continue to do so.

"auto" resources, which Optuna derives from the first trials, are derived from the largest number of steps of a trial.
So a pruner that is created on resume decides as the first one did.
"""

from typing import Any

import optuna

from sweep.errors import SpaceError
from sweep.space.space import Choice, Space
from sweep.tuning.choices import Choices

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
WRAPPED = "wrapped_pruner"  # option of a patient pruner: a name, or a table with name and options
CHOICES = Choices(
    "pruner",
    optuna.pruners.BasePruner,
    PRUNERS,
    reserved=("self", WRAPPED),
    needed={"percentile": "percentile = 25.0", "threshold": "lower or upper = 0.2", "patient": "patience = 3"},
)


def build_pruner(space: Space, first_step: int = 0) -> optuna.pruners.BasePruner:
    """Create the pruner of a space.

    Args:
        space: The space, with the pruner's name and options.
        first_step: The step of a trial's first report: 0, or 1 in an older study.

    Returns:
        The pruner.

    Raises:
        SpaceError: A name or option is unknown or missing, or the objective cannot be pruned.
    """
    choice, steps = space.pruner, None if space.is_own_function else space.max_steps()
    _check(space, choice, "pruner")
    returns_once = space.function is not None and not space.is_own_function
    if choice.name != "none" and (returns_once or len(space.metrics) > 1):
        why = (
            "a function returns its only value at the end"
            if returns_once
            else "Optuna does not prune multi-objective studies"
        )
        raise SpaceError(f'{space.source}: pruner.name: {why}; use "none" (got {choice.name})')
    _check_monitor(space)
    try:
        return _build(space, choice, steps, first_step)
    except Exception as error:  # Optuna checks options in many ways
        raise SpaceError(f"{space.source}: pruner: {error}") from None


def _check_monitor(space: Space) -> None:
    if space.pruner.monitor is not None and (space.pruner.name == "none" or space.function is not None):
        why = " without a pruner" if space.function is None else " with a function, which reports one value"
        raise SpaceError(f"{space.source}: pruner.monitor: has no effect{why}; remove it")


def check_reports(space: Space) -> None:
    """Raise SpaceError if the pruner cannot use the values that trials report; for new studies only."""
    wrapped = _wrapped(space, space.pruner)
    names = {space.pruner.name, wrapped.name if wrapped is not None else ""}
    if "wilcoxon" in names and space.plan.num_runs == 1 and not space.is_own_function:
        raise SpaceError(
            f"{space.source}: pruner.name: wilcoxon compares the runs of a trial, and here each trial has one run; "
            "set study.cross_validation or study.repeats, or use median"
        )


def _check(space: Space, choice: Choice, section: str) -> None:
    """Raise SpaceError if the pruner, or one that it wraps, is unknown or has invalid options."""
    options = {name: value for name, value in choice.options.items() if (choice.name, name) != ("patient", WRAPPED)}
    CHOICES.check(space, Choice(name=choice.name, options=options), section, {})
    wrapped = _wrapped(space, choice)
    if wrapped is not None:
        if wrapped.name in ("none", "patient"):
            raise SpaceError(f"{space.source}: {section}.{WRAPPED}: {wrapped.name} cannot be wrapped; use median")
        _check(space, wrapped, f"{section}.{WRAPPED}")


def _wrapped(space: Space, choice: Choice) -> Choice | None:
    """Return the pruner that a patient pruner wraps, None if there is none. Raise SpaceError if it is invalid."""
    wrapped = choice.options.get(WRAPPED) if choice.name == "patient" else None
    if isinstance(wrapped, str):
        return Choice(name=wrapped)
    if isinstance(wrapped, dict) and isinstance(wrapped.get("name"), str):
        return Choice(name=wrapped["name"], options={key: wrapped[key] for key in wrapped if key != "name"})
    if wrapped is not None:
        raise SpaceError(
            f"{space.source}: pruner.{WRAPPED}: must be a pruner's name, or a table as in "
            f'{WRAPPED} = {{ name = "median", n_startup_trials = 3 }}'
        )
    return None


def _build(space: Space, choice: Choice, steps: int | None, first_step: int) -> optuna.pruners.BasePruner:
    options = _options(choice, steps, first_step)
    if choice.name == "patient":
        wrapped = _wrapped(space, choice)
        options[WRAPPED] = None if wrapped is None else _build(space, wrapped, steps, first_step)
    return CHOICES.get(choice.name)(**options)  # type: ignore[no-any-return]


def _options(choice: Choice, steps: int | None, first_step: int) -> dict[str, Any]:
    options = dict(choice.options)
    if choice.name == "hyperband":
        if options.get("max_resource", "auto") == "auto":
            if steps is None:
                raise ValueError("how often a function reports is unknown; set max_resource = 30, its most steps")
            options["max_resource"] = steps
        least, most = options.get("min_resource", 1), options["max_resource"]
        if isinstance(most, int) and most < least:  # Optuna would fail at the first report
            raise ValueError(f"{most} steps (max_resource) are less than min_resource {least}; lower min_resource")
    if choice.name == "successive_halving" and options.get("min_resource", "auto") == "auto":
        last_step = first_step + (steps or 1) - 1
        options["min_resource"] = max(last_step // 100, 1)  # Optuna's own rule, from the longest possible trial
    return options
