"""Which trials of another study a new one takes over: finished if their scores hold, else to run again, else why not.

A score holds where data, objective, runs of a trial and code are the same, and the trial's params give the same config
in the new space as they gave in the old one.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial, TrialState

from sweep.config.study_settings import StudySettings, flat, read_settings
from sweep.errors import InputError
from sweep.options import EarlierOptions
from sweep.pareto import best_first
from sweep.space.file import stored_space
from sweep.space.first_trials import range_problem, value_at
from sweep.space.parameters import Params, stored_choice
from sweep.space.space import Space
from sweep.storage import read_study
from sweep.storage.stored_trials import code_digest
from sweep.text import counted

if TYPE_CHECKING:
    from sweep.tuning.plan import RunPlan

EARLIER = "earlier"  # the user attribute: of a study its source, of a trial where it is from
MOST_SHOWN = 5


@dataclass(frozen=True)
class EarlierStudy:
    """A study whose trials a new one starts from."""

    name: str
    settings: StudySettings
    space: Space
    trials: tuple[FrozenTrial, ...]  # COMPLETE with finite values, best first, then PRUNED


@dataclass(frozen=True)
class EarlierTrial:
    """A trial of an earlier study, with its params in the new space."""

    trial: FrozenTrial
    params: Params

    @property
    def number(self) -> int:
        """Return its number in its own study."""
        return self.trial.number


@dataclass(frozen=True)
class Transfer:
    """What a new study takes over.

    Attributes:
        source: Name of the earlier study.
        finished: Trials whose scores hold.
        again: Trials to run again.
        rechecked: Of the finished ones, those that are run again to see whether the scores hold.
        why_again: Why the scores of those to run again do not hold, by trial number.
        left_out: Why a trial is not taken over, by its number.
    """

    source: str
    finished: tuple[EarlierTrial, ...]
    again: tuple[EarlierTrial, ...]
    rechecked: tuple[EarlierTrial, ...]
    why_again: Mapping[int, str]
    left_out: Mapping[int, str]

    def lines(self) -> Iterator[str]:
        """Yield lines for the user: the counts, and the reasons of the first trials."""
        counts = [f"{len(self.finished)} enter as finished", f"{len(self.again)} run again"]
        counts += [f"{len(self.rechecked)} of the finished run once more"] if self.rechecked else []
        total = len(self.finished) + len(self.again) + len(self.left_out)
        yield f"{counted(total, 'trial')} of {self.source}: {', '.join(counts)}, {len(self.left_out)} left out"
        for what, reasons in (("runs again", self.why_again), ("is left out", self.left_out)):
            for number, reason in [*reasons.items()][:MOST_SHOWN]:
                yield f"  trial {number} {what}: {reason}"
            if len(reasons) > MOST_SHOWN:
                yield f"  and {len(reasons) - MOST_SHOWN} more"


def transfer_to(
    url: str, name: str, options: EarlierOptions, made: "RunPlan", stored: StudySettings | None
) -> Transfer | None:
    """Return what a study takes over; None if nothing is requested, or it has begun with that.

    Raises:
        InputError: It has begun without, or no trial can be taken over.
    """
    if options.study is None:
        return None
    begun = read_study(url, name) if stored is not None else None
    if begun is not None and begun.get_trials(deepcopy=False):
        check_begun(begun.user_attrs, name, options.study)
        return None
    earlier = read_earlier(url, options.study)
    return transfer(earlier, made.space, made.settings, options.top, options.recheck or 0)


def check_begun(user_attrs: Mapping[str, Any], study_name: str, source: str) -> None:
    """Raise InputError unless a study that has trials was begun with those of `source`."""
    begun = user_attrs.get(EARLIER)
    if not isinstance(begun, dict) or begun.get("study") != source:
        raise InputError(f"--from {source}: study {study_name} has trials already; use a new --study")


def read_earlier(url: str, name: str) -> EarlierStudy:
    """Read a study. Raise StudyError if there is none, or `sweep run` did not make it."""
    study = read_study(url, name)
    settings = read_settings(study.user_attrs, name)
    trials = study.get_trials(deepcopy=False)
    complete = [one for one in trials if one.state == TrialState.COMPLETE and all(map(math.isfinite, one.values))]
    pruned = [one for one in trials if one.state == TrialState.PRUNED]
    ranked = best_first(complete, study.directions)
    space = stored_space(name, settings.space, settings.code)
    return EarlierStudy(name, settings, space, (*ranked, *pruned))


def transfer(
    earlier: EarlierStudy, space: Space, settings: StudySettings, top: int | None = None, num_rechecked: int = 0
) -> Transfer:
    """Sort the trials of an earlier study.

    Args:
        earlier: The study.
        space: The new study's space.
        settings: The new study's settings.
        top: Take only so many of the best COMPLETE trials. None: all, and the PRUNED ones.
        num_rechecked: How many of the best are run once more although their scores hold.

    Raises:
        InputError: No trial can be taken over.
    """
    trials = (
        earlier.trials if top is None else [one for one in earlier.trials if one.state == TrialState.COMPLETE][:top]
    )
    finished, again, why_again, left_out = [], [], {}, {}
    of_all = _why_no_score_holds(earlier.settings, settings)
    for trial in trials:
        params, problem = _params_in(space, earlier.space, trial)
        reason = problem or of_all or _why_score_does_not_hold(earlier.space, space, settings, trial, params)
        if problem is None and reason is None:
            finished.append(EarlierTrial(trial, params))
        elif problem is None and trial.state == TrialState.COMPLETE:
            again.append(EarlierTrial(trial, params))
            why_again[trial.number] = str(reason)
        else:
            left_out[trial.number] = f"it was pruned, and {reason}" if problem is None else problem
    if not finished and not again:
        why = next(iter(left_out.values()), "it has no COMPLETE trial")
        raise InputError(f"no trial of {earlier.name} can be taken over: {why}; pass another study")
    complete = [one for one in finished if one.trial.state == TrialState.COMPLETE]
    in_order = sorted(finished, key=lambda one: one.number)
    return Transfer(earlier.name, tuple(in_order), tuple(again), tuple(complete[:num_rechecked]), why_again, left_out)


def _why_no_score_holds(old: StudySettings, new: StudySettings) -> str | None:
    """What makes all scores of a study others than the new one's would be; None if nothing does."""
    keys = ("metric", "direction", "metrics", "directions", "repeats", "cross_validation", "function")
    for key in keys:
        if old.space.get(key) != new.space.get(key):
            return f"study.{key} was {old.space.get(key)}, it is {new.space.get(key)}"
    return "the data is another" if old.data_hash != new.data_hash else None


def _params_in(space: Space, old: Space, trial: FrozenTrial) -> tuple[Params, str | None]:
    """The trial's params in a space, by name or by the key that they set, and what is wrong with them."""
    if space.is_own_function and not space.parameters:  # it defines them while it runs
        return dict(trial.params), None
    values = {} if old.function is not None else old.resolve(trial.params, seed=0).values()
    params: Params = {}
    for name, parameter in space.parameters.items():
        if not parameter.is_active(params):
            continue
        value = trial.params.get(name) if name in trial.params else value_at(values, parameter.key or "")
        if value is None and name not in trial.params:
            return params, f"it has no {name}"
        problem = range_problem(parameter, value)
        if problem is not None:
            return params, f"{name} = {value} {problem}"
        params[name] = stored_choice(value)
    return params, None


def _why_score_does_not_hold(
    old: Space, new: Space, settings: StudySettings, trial: FrozenTrial, params: Params
) -> str | None:
    digest, code = code_digest(trial), settings.code
    if code is not None and code.digest and digest and digest != code.digest:
        return f"the code was {digest}, it is {code.digest}"
    before, now = _values(old, trial.params), _values(new, params)
    key = next((key for key in sorted({*before, *now}) if before.get(key) != now.get(key)), None)
    return None if key is None else f"{key} was {before.get(key, 'absent')}, it is {now.get(key, 'absent')}"


def _values(space: Space, params: Params) -> dict[str, Any]:
    """What a trial with these params trains."""
    return dict(params) if space.function is not None else flat(space.resolve(params, seed=0).values())
