"""Keep a study in memory for samplers and pruners: as it was read, with the changes of the sweep since."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from sweep.errors import StudyError
from sweep.storage.digest import DIGEST, TRAINED_BY_SWEEP, is_ours
from sweep.storage.optuna_internals import MemoryStorage, row_id
from sweep.storage.reader import Reader
from sweep.storage.set_aside import set_aside, without_foreign_params
from sweep.storage.stored_trials import SET_ASIDE

STUDY_ID = 0  # in memory: there is one study


@dataclass(frozen=True)
class Snapshot:
    """The parts of a study in memory that a transaction may change."""

    trials: list[FrozenTrial]
    user_attrs: dict[str, Any]
    system_attrs: dict[str, Any]
    distributions: dict[str, BaseDistribution]
    own_numbers: set[int]
    open_numbers: set[int]
    finished_numbers: list[int]


class StudyMemory(MemoryStorage):
    """An in-memory Optuna storage of one study, in which a trial's id is its number.

    Attributes:
        study_name: Name of the study.
        row_ids: Ids in the database by number, of the trials that are stored.
        own_numbers: Numbers of the trials that the sweep trains or has trained.
        open_numbers: Numbers of the trials that are not finished.
        finished_numbers: Numbers of the finished trials in the order in which they finished; `restore` replaces the
            list object.

    """

    def __init__(self, study_name: str) -> None:
        super().__init__()
        self.study_name = study_name
        self.row_ids: dict[int, int] = {}
        self.own_numbers: set[int] = set()
        self.open_numbers: set[int] = set()
        self.finished_numbers: list[int] = []
        self._has_digests = True  # False for a study that is older than digests

    def load(self, reader: Reader, study_row: int, distributions: Mapping[str, BaseDistribution]) -> None:
        """Read the study into the empty memory.

        Args:
            reader: Storage to read from.
            study_row: The study's id in this storage.
            distributions: The study's own distributions by parameter.

        Raises:
            StudyError: A trial of the sweep is missing.

        """
        system_attrs = reader.get_study_system_attrs(study_row)
        self._has_digests = DIGEST in system_attrs
        user_attrs = reader.get_study_user_attrs(study_row)
        self._put_study(reader.get_study_directions(study_row), user_attrs, system_attrs, distributions)
        for trial in sorted(reader.get_all_trials(study_row, deepcopy=False), key=lambda trial: trial.number):
            self.add_loaded(trial)

    def add_loaded(self, trial: FrozenTrial) -> None:
        """Add a trial as it was read from the database. Raise StudyError if one of the sweep is missing before it."""
        number = len(self.row_ids)
        if trial.number != number:
            self._renumber(trial, number)
        self.row_ids[number] = row_id(trial)
        super().create_new_trial(STUDY_ID)
        if is_ours(trial) or (not self._has_digests and TRAINED_BY_SWEEP in trial.user_attrs):
            self.own_numbers.add(number)
        self._put_loaded(trial)
        (self.finished_numbers.append if trial.state.is_finished() else self.open_numbers.add)(number)

    def replace_loaded(self, number: int, trial: FrozenTrial) -> None:
        """Replace an unfinished trial by its current state in the database, which another program has set."""
        trial.number = number
        self._put_loaded(trial)
        if trial.state.is_finished():
            self.count_as_finished(number)

    def count_as_finished(self, number: int) -> None:
        """Move an unfinished trial to the finished ones."""
        self.open_numbers.discard(number)
        self.finished_numbers.append(number)

    def snapshot(self) -> Snapshot:
        """Return what `restore` needs to undo later changes. Finished trials do not change and are not copied."""
        trials = self.get_all_trials(STUDY_ID, deepcopy=False)
        for number in self.open_numbers:
            trials[number] = _copied(trials[number])
        return Snapshot(
            trials,
            self.get_study_user_attrs(STUDY_ID),
            self.get_study_system_attrs(STUDY_ID),
            {**self.known_distributions(STUDY_ID)},
            {*self.own_numbers},
            {*self.open_numbers},
            [*self.finished_numbers],
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Restore the study as it was when the snapshot was taken."""
        directions = self.get_study_directions(STUDY_ID)
        super().__init__()
        self._put_study(directions, snapshot.user_attrs, snapshot.system_attrs, snapshot.distributions)
        for trial in snapshot.trials:
            super().create_new_trial(STUDY_ID)
            self.put_trial(STUDY_ID, trial.number, trial)
        self.own_numbers, self.open_numbers = snapshot.own_numbers, snapshot.open_numbers
        self.finished_numbers = snapshot.finished_numbers

    def _put_study(
        self,
        directions: Sequence[StudyDirection],
        user_attrs: Mapping[str, Any],
        system_attrs: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
    ) -> None:
        study_id = super().create_new_study(directions, self.study_name)
        self.known_distributions(study_id).update(distributions)
        for key, value in user_attrs.items():
            super().set_study_user_attr(study_id, key, value)
        for key, value in system_attrs.items():
            super().set_study_system_attr(study_id, key, value)

    def _renumber(self, trial: FrozenTrial, number: int) -> None:
        """Set aside a trial of another program. Raise StudyError for one of the sweep, as a trial before it is lost."""
        if is_ours(trial):
            raise StudyError(
                f"study {self.study_name} has trial {trial.number} where {number} should follow: "
                "another program damaged its numbering; resume under another --study"
            )
        if SET_ASIDE not in trial.user_attrs:
            set_aside(trial, f"its number {trial.number} is not the next one")
        trial.number = number

    def _put_loaded(self, trial: FrozenTrial) -> None:
        """Put a trial into the storage without the deep copy of Optuna's `create_new_trial`."""
        known = self.known_distributions(STUDY_ID)
        if trial.state.is_finished() and trial.number not in self.own_numbers:
            trial = without_foreign_params(trial, known, within=True)
        for name, distribution in trial.distributions.items():
            known.setdefault(name, distribution)  # as in Optuna's storages, other types of this parameter are refused
        self.put_trial(STUDY_ID, trial.number, trial)


def _copied(trial: FrozenTrial) -> FrozenTrial:
    """Copy a trial with its dictionaries, as Optuna's `Trial` changes the objects that the storage returns."""
    copied = copy(trial)
    for name in ("params", "distributions", "intermediate_values", "user_attrs", "system_attrs"):
        setattr(copied, name, {**getattr(trial, name)})
    return copied
