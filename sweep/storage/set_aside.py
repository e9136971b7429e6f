"""Set aside trials that another program wrote and that cannot be used.

optuna-dashboard, plain Optuna and SQL by hand may write anything into a study. A trial that cannot be read, or whose
values do not fit the objectives, keeps its number and is read as a FAIL without values; its user attribute
`sweep:set_aside` contains the reason. So nothing that shows, samples or ranks has to handle it. (A trial of the sweep
whose rows have been changed is damaged instead, see `digest`.)
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.trial import FrozenTrial, TrialState

from sweep.storage.optuna_internals import contains
from sweep.storage.stored_trials import SET_ASIDE
from sweep.text import counted

MOST_LINES = 5
WITH_VALUES = (TrialState.COMPLETE, TrialState.PRUNED)


def values_problem(state: TrialState, values: Sequence[float] | None, num_objectives: int) -> str | None:
    """Return what is wrong with the values of a trial in this state, None if they can be used.

    COMPLETE needs a number for each objective, PRUNED may have them; NaN is not a number.
    """
    if state not in WITH_VALUES or (values is None and state == TrialState.PRUNED):
        return None
    told = values or ()
    if len(told) != num_objectives:
        told_values, objectives = counted(len(told), "value"), counted(num_objectives, "objective")
        return f"{state.name} with {told_values}, but the study has {objectives}"
    return f"{state.name} with the value NaN" if any(map(math.isnan, told)) else None


def attrs_problem(system_attrs: dict[str, Any]) -> str | None:
    """Return what would make Optuna fail when it asks for the trial or ranks it, None if nothing."""
    strange = [key for key, value in system_attrs.items() if not _is_optunas(key, value)]
    return f"its system attribute {strange[0]} is not as Optuna writes it" if strange else None


def _is_optunas(key: str, value: Any) -> bool:
    kind = key.partition(":")[0]
    if kind == "fixed_params":
        return isinstance(value, dict)
    if kind == "constraints":
        numbers = value if key == kind else [value]
        return isinstance(numbers, list) and all(isinstance(one, int | float) for one in numbers)
    return True


def set_aside(trial: FrozenTrial, problem: str) -> None:
    """Make it the FAIL that stands for it; it keeps what could be read of its params, steps and attributes."""
    moment = trial.datetime_start or trial.datetime_complete or datetime.now()
    trial.state, trial.values = TrialState.FAIL, None
    trial.datetime_start, trial.datetime_complete = moment, trial.datetime_complete or moment
    trial.user_attrs = {**trial.user_attrs, SET_ASIDE: problem}
    trial.system_attrs = {key: value for key, value in trial.system_attrs.items() if _is_optunas(key, value)}


def set_aside_lines(study_name: str, trials: Iterable[FrozenTrial]) -> Iterator[str]:
    """Return a line for each trial that is set aside; if they are many, for the first ones."""
    found = [trial for trial in trials if SET_ASIDE in trial.user_attrs]
    for trial in found[:MOST_LINES]:
        yield f"study {study_name}: trial {trial.number} is set aside: {trial.user_attrs[SET_ASIDE]}"
    if len(found) > MOST_LINES:
        yield f"study {study_name}: {len(found) - MOST_LINES} more trials are set aside; `sweep show` names each"


def without_foreign_params(
    trial: FrozenTrial, distributions: Mapping[str, BaseDistribution], *, within: bool = False
) -> FrozenTrial:
    """A copy without the params of other kinds than the study's own: samplers and figures would fail over them.

    With `within`, also without the values that the study's own distributions do not have.
    """
    kept = [name for name in trial.params if _is_of_kind(trial, name, distributions.get(name), within=within)]
    if len(kept) == len(trial.params):
        return trial
    trial = copy(trial)
    trial.params = {name: trial.params[name] for name in kept}
    trial.distributions = {name: trial.distributions[name] for name in kept}
    return trial


def _is_of_kind(trial: FrozenTrial, name: str, own: BaseDistribution | None, *, within: bool) -> bool:
    if own is None:
        return True
    try:
        check_distribution_compatibility(own, trial.distributions[name])
        return not within or contains(own, own.to_internal_repr(trial.params[name]))
    except ValueError:
        return False
