"""Open or resume the study of a sweep, compare its settings, and ask and tell it with a sampler per trial.

The settings that decide what a trial is are stored with the study (user attribute `sweep`). The same command goes on
with the study; a difference is an error that shows it.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from sweep.config.study_name import check_study_name
from sweep.config.study_settings import KEPT, SETTINGS, StudySettings, read_settings
from sweep.plugins.user_code import UserCode
from sweep.space.parameters import Params
from sweep.space.points import points_of
from sweep.space.space import Space
from sweep.storage import (
    STUDY_ID,
    WriteBehindStorage,
    check_rows,
    connect_reader,
    create_database,
    create_study,
    reading,
)
from sweep.storage.stored_trials import CODE, code_digest
from sweep.tuning.adopting import adopt, is_there
from sweep.tuning.bounded_history import MOST_BEST, RecentSampler, RecentStudy
from sweep.tuning.callback import SweepInfo
from sweep.tuning.dashboard_notes import rewrite_study_attrs, study_attrs
from sweep.tuning.pruners import build_pruner
from sweep.tuning.samplers import LISTING, MODELS_HISTORY, sampler_factory
from sweep.tuning.untried import ChosenParams, DraftTrial, UntriedPoints

optuna.logging.set_verbosity(optuna.logging.ERROR)  # what matters of it, our own progress says


class SweepStudy(optuna.Study):
    """An Optuna study on a `WriteBehindStorage`, with a new sampler for each trial."""

    def __init__(
        self, storage: WriteBehindStorage, name: str, space: Space, *, seed: int, first_step: int, distinct: bool
    ) -> None:
        """The last two are as in `StudySettings`."""
        self._samplers = sampler_factory(space, seed, distinct=distinct)
        pruner = build_pruner(space, first_step)
        super().__init__(study_name=name, storage=storage, sampler=self._samplers(0), pruner=pruner)
        self.write_behind, self.first_step, self._space = storage, first_step, space
        self.ended_in_order = False  # the process before; its running trials are not to blame then
        self.code: UserCode | None = None  # of the user's, that trials run
        models_history = space.sampler.name in MODELS_HISTORY  # and is better given one that is bounded
        self._seen_by_sampler = RecentStudy(name, storage, MOST_BEST) if models_history else None
        self._seen_by_pruner = RecentStudy(name, storage, most_best=0)
        points = points_of(space) if distinct else None
        lists = space.sampler.name in LISTING
        self._untried = UntriedPoints(points, storage, seed, lists=lists) if points is not None else None
        self._num_before = None if distinct else num_points_before(space)

    def frozen_trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the trials in these states (all by default), not copied: do not change them."""
        return self.get_trials(deepcopy=False, states=states or None)

    def ask_next(self) -> optuna.Trial:
        """Ask with the sampler of the trial's number: an enqueued trial's own, else the next free one."""
        waiting = self.frozen_trials(TrialState.WAITING)
        self.sampler = self.sampler_of(waiting[0].number if waiting else self.write_behind.num_trials)
        trial = self.ask()
        self.note_code(trial.number)
        return trial

    def note_code(self, number: int, digest: str = "") -> None:
        """Note, inside a transaction, the digest of the code that trains the trial; by default that of the start."""
        digest = digest or (self.code.digest if self.code is not None else "")
        if digest:
            self.write_behind.set_trial_user_attr(number, CODE, digest)

    def code_change(self) -> str | None:
        """Return the notice for trials that were trained by code other than the current one, None if there are none."""
        if self.code is None or not self.code.digest:
            return None
        ours = [trial for trial in self.frozen_trials() if self.write_behind.is_ours(trial.number)]
        digests = [code_digest(trial) or self.code.digest for trial in ours]
        others = sorted({*digests} - {self.code.digest})
        if not others:
            return None
        num_others = sum(digest != self.code.digest for digest in digests)
        return (
            f"the code of {self.code} is not what trained {num_others} of the {len(digests)} trials: it was "
            f"{', '.join(others)}, it is {self.code.digest}; scores of two programs are not comparable; "
            "use another --study to keep them apart"
        )

    def suggest(self, trial: optuna.Trial) -> Params:
        """Return the params of a new trial; in a finite space, ones that no other trial has."""
        is_enqueued = "fixed_params" in self.write_behind.get_trial(trial.number).system_attrs
        if self._untried is not None and not is_enqueued:
            self.sampler = ChosenParams(self._untried.choose(trial.number, partial(self._draw, trial.number)))
        return self._space.suggest(trial)

    def _draw(self, number: int, attempt: int) -> Params:
        self.sampler = self.sampler_of(number, attempt)
        return self._space.suggest(DraftTrial(self, self.write_behind.get_trial(number)))

    def num_left(self) -> int | None:
        """Return how many trials are left until all combinations have been tried, None if there is no such end."""
        if self._untried is not None:
            return self._untried.num_left()
        if self._num_before is None:
            return None
        asked = sum("fixed_params" not in trial.system_attrs for trial in self.frozen_trials())
        return max(0, self._num_before - asked)

    def info(self, num_trials: int) -> SweepInfo:
        """Return what a sweep to this number of finished trials will do; fewer if the space has fewer combinations."""
        trials, num_left, space = self.frozen_trials(), self.num_left(), self._space
        return SweepInfo(
            study_name=self.study_name,
            metrics=space.metrics,
            directions=space.directions,
            num_trials=num_trials if num_left is None else min(num_trials, len(trials) + num_left),
            epochs=space.max_epochs(),
            num_runs=space.plan.num_runs,
            trials=trials,
        )

    def should_prune(self, number: int) -> bool:
        """Return whether the pruner prunes a running trial."""
        return self.pruner.prune(self._seen_by_pruner, self.write_behind.get_trial(number))

    def tell_number(self, number: int, state: TrialState, values: float | Sequence[float] | None = None) -> None:
        """Tell with the sampler of the trial's number."""
        self.sampler = self.sampler_of(number)
        self.tell(number, values, state=state)

    def sampler_of(self, number: int, attempt: int = 0) -> optuna.samplers.BaseSampler:
        """Return a new sampler for a trial; further attempts draw something else."""
        sampler = self._samplers(number, attempt)
        return sampler if self._seen_by_sampler is None else RecentSampler(sampler, self._seen_by_sampler)

    def stop(self) -> None:
        """Do nothing. Grid and brute-force samplers call this when all combinations are used; see `num_left`."""


def stored_settings(url: str, name: str, *, adopts: bool = False) -> StudySettings | None:
    """Return a study's settings.

    Args:
        url: URL of the database.
        name: Name of the study.
        adopts: Whether a study that sweep did not create may be resumed.

    Returns:
        The settings; None if there is no such study, or it has none and may be resumed.

    Raises:
        StudyError: Sweep did not create the study.
    """
    create_database(url)
    check_rows(url, name, ends_only=True)
    reader = connect_reader(url)
    with reading(url):
        try:
            study_id = reader.get_study_id_from_name(name)
        except KeyError:
            check_study_name(name)
            return None
        user_attrs = reader.get_study_user_attrs(study_id)
        return None if adopts and SETTINGS not in user_attrs else read_settings(user_attrs, name)


def open_study(url: str, name: str, space: Space, settings: StudySettings, stored: StudySettings | None) -> SweepStudy:
    """Create the study, or resume it if its `stored_settings` are the same. The caller holds its lock."""
    is_new = stored is None and not is_there(url, name)
    if is_new:
        directions = [StudyDirection[direction.upper()] for direction in space.directions]
        record = settings.record()
        create_study(url, name, directions, {SETTINGS: record, "metric": space.metrics[0]}, study_attrs(record))
    storage = WriteBehindStorage(url, name, distributions(space))
    if stored is None and not is_new:
        adopt(storage, name, space, settings)
    elif stored is not None and storage.num_trials == 0 and _directions(stored.space) == [*space.directions]:
        with storage.transaction():  # nothing was tried yet: the new settings are the study's
            storage.set_study_user_attr(STUDY_ID, SETTINGS, settings.record())
            storage.set_study_user_attr(STUDY_ID, "metric", space.metrics[0])
            rewrite_study_attrs(storage, settings.record())
    elif stored is not None:
        settings = replace(settings, **{key: getattr(stored, key) for key in KEPT})
        stored.check_same(settings, name)
        _keep_place(storage, stored, settings.code)
    study = SweepStudy(
        storage,
        name,
        space,
        seed=settings.seed,
        first_step=settings.first_step,
        distinct=settings.distinct,
    )
    study.code = settings.code
    return study


def _keep_place(storage: WriteBehindStorage, stored: StudySettings, code: UserCode | None) -> None:
    """Where the user's code is now: other commands look for it there."""
    if code is not None and code.digest and code != stored.code:
        with storage.transaction():
            record = {**storage.get_study_user_attrs(STUDY_ID)[SETTINGS], "code": code.values()}
            storage.set_study_user_attr(STUDY_ID, SETTINGS, record)


def num_points_before(space: Space) -> int | None:
    """How many trials an old study's sampler has before it repeats itself; None where it never ends.

    Optuna's grid also has combinations for conditional parameters that are not sampled.
    """
    if space.sampler.name == "grid":
        return math.prod(parameter.num_values() or 0 for parameter in space.parameters.values())
    points = points_of(space) if space.sampler.name == "brute_force" else None
    return points.count if points is not None else None


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the Optuna distribution of each parameter, active or not."""
    trial = FixedTrial({name: parameter.extremes()[0] for name, parameter in space.parameters.items()})
    for name, parameter in space.parameters.items():
        parameter.suggest(trial, name)
    return trial.distributions


def _directions(record: dict[str, Any]) -> list[str]:
    """Of a space's record; that of one objective has one key."""
    return list(record.get("directions", [record["direction"]]))
