"""Set aside trials that another program wrote and that cannot be used.

optuna-dashboard, plain Optuna and manual SQL may write anything into a study. A trial that cannot be read, or whose
values do not fit the objectives, keeps its number and is read as a FAIL without values; its user attribute
`sweep:set_aside` contains the reason. So no code that shows, samples or ranks trials needs to handle such a trial. (A
trial of the sweep whose rows have been changed is damaged instead, see `digest`.)
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
    """Check the values of a trial: COMPLETE needs one for each objective, PRUNED may have them; NaN is not allowed.

    Args:
        state: State of the trial.
        values: Its values by objective; None without values.
        num_objectives: Number of objectives of the study.

    Returns:
        What is wrong with the values; None if they can be used.
    """
    if state not in WITH_VALUES or (values is None and state == TrialState.PRUNED):
        return None
    given = values or ()
    if len(given) != num_objectives:
        given_values, objectives = counted(len(given), "value"), counted(num_objectives, "objective")
        return f"{state.name} with {given_values}, but the study has {objectives}"
    return f"{state.name} with the value NaN" if any(map(math.isnan, given)) else None


def attrs_problem(system_attrs: dict[str, Any]) -> str | None:
    """Return which system attribute would make Optuna fail when it reads or ranks the trial, None if there is none."""
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
    """Change a trial to FAIL, with the reason as an attribute. Readable params, steps and attributes are kept."""
    moment = trial.datetime_start or trial.datetime_complete or datetime.now()
    trial.state, trial.values = TrialState.FAIL, None
    trial.datetime_start, trial.datetime_complete = moment, trial.datetime_complete or moment
    trial.user_attrs = {**trial.user_attrs, SET_ASIDE: problem}
    trial.system_attrs = {key: value for key, value in trial.system_attrs.items() if _is_optunas(key, value)}


def set_aside_lines(study_name: str, trials: Iterable[FrozenTrial]) -> Iterator[str]:
    """Yield a notice for each trial that is set aside, or for the first ones and the number of the others."""
    found = [trial for trial in trials if SET_ASIDE in trial.user_attrs]
    for trial in found[:MOST_LINES]:
        yield f"study {study_name}: trial {trial.number} is set aside: {trial.user_attrs[SET_ASIDE]}"
    if len(found) > MOST_LINES:
        yield f"study {study_name}: {len(found) - MOST_LINES} more trials are set aside; `sweep show` names each"


def without_foreign_params(
    trial: FrozenTrial, distributions: Mapping[str, BaseDistribution], *, within: bool = False
) -> FrozenTrial:
    """Return a trial without params that are incompatible with the study's, as samplers and figures would fail.

    Args:
        trial: The trial.
        distributions: The study's own distributions by parameter.
        within: Whether to remove also values that the study's own distributions do not contain.

    Returns:
        A copy, or the trial itself if all of its params are compatible.
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
