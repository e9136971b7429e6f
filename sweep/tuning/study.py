"""Open or resume the study of a sweep, compare its settings, and ask and tell with a new sampler for each trial.

The settings that determine the trials are stored with the study (user attribute `sweep`). The same command resumes the
study; if a setting differs, an error shows the difference.
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
from sweep.tuning.beginning import begin
from sweep.tuning.bounded_history import MOST_BEST, RecentSampler, RecentStudy
from sweep.tuning.callback import SweepInfo
from sweep.tuning.dashboard_notes import rewrite_study_attrs, study_attrs
from sweep.tuning.pruners import build_pruner
from sweep.tuning.samplers import LISTING, MODELS_HISTORY, sampler_factory
from sweep.tuning.transfer import Transfer
from sweep.tuning.untried import ChosenParams, DraftTrial, UntriedPoints

optuna.logging.set_verbosity(optuna.logging.ERROR)  # sweep shows its own progress


class SweepStudy(optuna.Study):
    """An Optuna study on a `WriteBehindStorage`, with a new sampler for each trial.

    Args:
        storage: The study's storage.
        name: Name of the study.
        space: The space.
        seed: The study's seed.
        first_step: As in `StudySettings`.
        distinct: As in `StudySettings`.

    Attributes:
        write_behind: The study's storage.
        first_step: The step of a trial's first report.
        ended_in_order: Whether the previous process exited normally, so that no running trial made it exit.
        code: The user code that trials run; None without user code.
    """

    def __init__(
        self, storage: WriteBehindStorage, name: str, space: Space, *, seed: int, first_step: int, distinct: bool
    ) -> None:
        self._samplers = sampler_factory(space, seed, distinct=distinct)
        pruner = build_pruner(space, first_step)
        super().__init__(study_name=name, storage=storage, sampler=self._samplers(0), pruner=pruner)
        self.write_behind, self.first_step, self._space = storage, first_step, space
        self.ended_in_order = False
        self.is_adopted = False  # another program made it, and this process resumes it first
        self.code: UserCode | None = None
        models_history = space.sampler.name in MODELS_HISTORY
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
        """Ask for the next trial, an enqueued one if there is any, with the sampler of its number."""
        waiting = self.frozen_trials(TrialState.WAITING)
        self.sampler = self.sampler_of(waiting[0].number if waiting else self.write_behind.num_trials)
        trial = self.ask()
        self.note_code(trial.number)
        return trial

    def note_code(self, number: int, digest: str = "") -> None:
        """Store the digest of the code that trains a trial, inside a transaction; by default that of the start."""
        digest = digest or (self.code.digest if self.code is not None else "")
        if digest:
            self.write_behind.set_trial_user_attr(number, CODE, digest)

    def code_change(self) -> str | None:
        """Return a notice if other user code than the current one trained some trials, None otherwise."""
        if self.code is None or not self.code.digest:
            return None
        ours = [trial for trial in self.frozen_trials() if self.write_behind.is_ours(trial.number)]
        digests = [code_digest(trial) or self.code.digest for trial in ours]
        others = sorted({*digests} - {self.code.digest})
        if not others:
            return None
        num_others = sum(digest != self.code.digest for digest in digests)
        return (
            f"the code of {self.code} has changed since it trained {num_others} of the {len(digests)} trials: it was "
            f"{', '.join(others)}, it is {self.code.digest}; scores of different code are not comparable; "
            "use another --study to separate them"
        )

    def suggest(self, trial: optuna.Trial) -> Params:
        """Suggest the params of a new trial; in a finite space, params that no other trial has."""
        is_enqueued = "fixed_params" in self.write_behind.get_trial(trial.number).system_attrs
        if self._untried is not None and not is_enqueued:
            self.sampler = ChosenParams(self._untried.choose(trial.number, partial(self._draw, trial.number)))
        return self._space.suggest(trial)

    def _draw(self, number: int, attempt: int) -> Params:
        self.sampler = self.sampler_of(number, attempt)
        return self._space.suggest(DraftTrial(self, self.write_behind.get_trial(number)))

    def num_left(self) -> int | None:
        """Return how many combinations have not been tried; None for a space that is not finite."""
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
        """Set a running trial to a final state, as `optuna.Study.tell` does, with the sampler of its number."""
        self.sampler = self.sampler_of(number)
        self.tell(number, values, state=state)

    def sampler_of(self, number: int, attempt: int = 0) -> optuna.samplers.BaseSampler:
        """Return a new sampler for a trial, with another seed for each attempt."""
        sampler = self._samplers(number, attempt)
        return sampler if self._seen_by_sampler is None else RecentSampler(sampler, self._seen_by_sampler)

    def stop(self) -> None:
        """Do nothing. Grid and brute-force samplers call this when all combinations are used; see `num_left`."""


def stored_settings(url: str, name: str, *, adopts: bool = False) -> StudySettings | None:
    """Return the settings that are stored with a study; create the database if it does not exist.

    Args:
        url: URL of the database.
        name: Name of the study.
        adopts: Whether a study that sweep did not create may be resumed.

    Returns:
        The settings; None if there is no such study, or it has none and may be resumed.

    Raises:
        StudyError: The study was not created by sweep, or it is damaged.
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


def open_study(
    url: str,
    name: str,
    space: Space,
    settings: StudySettings,
    stored: StudySettings | None,
    transfer: Transfer | None = None,
) -> SweepStudy:
    """Create a study, or resume it. The caller holds its lock.

    A study without trials begins with those of a `transfer`, then those of its space, and adopts the new settings.
    `stored` is the result of `stored_settings`.

    Raises:
        StudyError: The stored settings are different.
    """
    is_new = stored is None and not is_there(url, name)
    if is_new:
        directions = [StudyDirection[direction.upper()] for direction in space.directions]
        record = settings.record()
        create_study(url, name, directions, {SETTINGS: record, "metric": space.metrics[0]}, study_attrs(record))
    storage = WriteBehindStorage(url, name, distributions(space))
    if stored is None and not is_new:
        adopt(storage, name, space, settings)
    elif stored is not None and storage.num_trials == 0 and _directions(stored.space) == [*space.directions]:
        with storage.transaction():  # the study has no trials yet, so it adopts the new settings
            storage.set_study_user_attr(STUDY_ID, SETTINGS, settings.record())
            storage.set_study_user_attr(STUDY_ID, "metric", space.metrics[0])
            rewrite_study_attrs(storage, settings.record())
    elif stored is not None:
        settings = replace(settings, **{key: getattr(stored, key) for key in KEPT})
        stored.check_same(settings, name)
        _update_code(storage, stored, settings.code)
    study = SweepStudy(
        storage,
        name,
        space,
        seed=settings.seed,
        first_step=settings.first_step,
        distinct=settings.distinct,
    )
    study.code, study.is_adopted = settings.code, stored is None and not is_new
    if storage.num_trials == 0:
        with storage.transaction():
            begin(study, space, distributions(space), transfer)
    return study


def _update_code(storage: WriteBehindStorage, stored: StudySettings, code: UserCode | None) -> None:
    """Store the current folder and digest of the user code, so that other commands find it."""
    if code is not None and code.digest and code != stored.code:
        with storage.transaction():
            record = {**storage.get_study_user_attrs(STUDY_ID)[SETTINGS], "code": code.values()}
            storage.set_study_user_attr(STUDY_ID, SETTINGS, record)


def num_points_before(space: Space) -> int | None:
    """Return the number of trials after which the sampler of an older study repeats points, None if it never does.

    Optuna's grid also contains combinations of conditional parameters that are not sampled.
    """
    if space.sampler.name == "grid":
        return math.prod(parameter.num_values() or 0 for parameter in space.parameters.values())
    points = points_of(space) if space.sampler.name == "brute_force" else None
    return points.count if points is not None else None


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the Optuna distribution of each parameter, including conditional ones."""
    trial = FixedTrial({name: parameter.extremes()[0] for name, parameter in space.parameters.items()})
    for name, parameter in space.parameters.items():
        parameter.suggest(trial, name)
    return trial.distributions


def _directions(record: dict[str, Any]) -> list[str]:
    """Return the directions in a space's record, which has another key for a single objective."""
    return list(record.get("directions", [record["direction"]]))
