"""An in-memory Optuna storage in front, transactions in Optuna's schema behind.

Samplers and pruners work in memory. Everything they and the tuner write is gathered and put into the database by one
transaction, at each ask and for each round of epochs. (Measured by others on Optuna's own path: 111-161 ms of CPU a
trial in the ORM; see benchmarks/ for ours.) A transaction first looks for what others wrote, and never overwrites it.

A `transaction` keeps other writers out while its body runs; a `draft`, for what takes long, only while it is written.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweep.errors import StudyError
from sweep.storage import rows
from sweep.storage.database import backend_of
from sweep.storage.digest import (
    DIGEST,
    MADE_BY_SWEEP,
    OWN_STUDY_ATTRS,
    TRAINED_BY_SWEEP,
    TrialDigests,
    is_ours,
    study_digest,
)
from sweep.storage.optuna_internals import MemoryStorage, row_id
from sweep.storage.set_aside import set_aside, without_foreign_params
from sweep.storage.stored_trials import SET_ASIDE
from sweep.storage.studies import check_rows, reading
from sweep.storage.waiting import WAIT, Wait
from sweep.storage.writer import MARK, StudyWriter, begin, in_words, retry_while_locked

STUDY_ID = 0  # in memory: a WriteBehindStorage holds one study


class ChangedMeanwhile(Exception):
    """Another program has written the study while a draft was made."""


@dataclass(frozen=True)
class ForeignChange:
    """Something that another program wrote: a trial it created, or one of ours that it told."""

    number: int
    is_new: bool
    state: TrialState
    problem: str | None = None  # why the trial is set aside

    def line(self, study_name: str) -> str:
        """What to say of it."""
        if self.problem is not None:
            return f"study {study_name}: trial {self.number} is set aside: {self.problem}"
        if self.is_new:
            return f"trial {self.number} ({self.state.name}) was added by another program"
        return f"trial {self.number} was set to {self.state.name} by another program"


@dataclass(frozen=True)
class _Memory:
    """What the body of a draft may change."""

    trials: list[FrozenTrial]
    user_attrs: dict[str, Any]
    system_attrs: dict[str, Any]
    distributions: dict[str, BaseDistribution]
    own_numbers: set[int]
    open_numbers: set[int]
    finished_numbers: list[int]
    is_study_sealed: bool


class WriteBehindStorage(MemoryStorage):
    """One study. Reads come from memory; writes outside a `transaction` are an error of the program.

    The in-memory trial id is the trial's number, as there is one study.
    """

    def __init__(self, url: str, study_name: str, distributions: Mapping[str, BaseDistribution] | None = None) -> None:
        """Load a study that exists; KeyError if it does not, StudyError if it is damaged.

        `distributions` are the study's own, by parameter: what others tried beside them is not shown to samplers.
        """
        super().__init__()
        check_rows(url, study_name)
        self._backend = backend_of(url)
        self._reader = self._backend.connect_reader()
        self._study_name = study_name
        self._study_row = self._reader.get_study_id_from_name(study_name)
        mark = self._reader.get_study_system_attrs(self._study_row).get(MARK)  # before the rest of it
        self._writer = StudyWriter(self._backend, study_name, self._study_row, mark)
        self._row_ids: dict[int, int] = {}
        self._own_numbers: set[int] = set()
        self.open_numbers: set[int] = set()
        self.finished_numbers: list[int] = []  # in the order of finishing; another list once some were taken back
        self._pending: rows.PendingRows | None = None  # only inside a transaction
        self.is_out_of_step = False
        self._digests = TrialDigests()
        self._is_sealed = True  # every trial of ours has its digest
        self._is_study_sealed = True  # as the study is now
        with reading(url):
            self._load(distributions or {})

    @property
    def num_trials(self) -> int:
        """Trials of any state, which is the next trial's number."""
        return len(self._row_ids) + (len(self._pending.new_trials) if self._pending is not None else 0)

    def row_id(self, number: int) -> int:
        """The trial's id in the database; KeyError before the transaction that made it has ended."""
        return self._row_ids[number]

    def is_ours(self, number: int) -> bool:
        """Whether the sweep trained the trial, or began to; others may have set the same attributes."""
        return number in self._own_numbers

    def is_stored(self, number: int) -> bool:
        """Whether the database has the trial; one that is new in this transaction is not there yet."""
        return number in self._row_ids

    def stored_system_attrs(self) -> dict[str, Any]:
        """The study's system attributes in the database, what others wrote included."""
        return self._reader.get_study_system_attrs(self._study_row)

    @contextmanager
    def transaction(self, wait: Wait = WAIT) -> Iterator[list[ForeignChange]]:
        """Look for what others wrote, run the body against memory, write what it did: all or nothing.

        `wait` says how to wait while another program holds the write lock. Raises StudyError if the study is gone,
        numbers collide, or the database cannot be written. After an exception in the body, or in writing, the memory
        is ahead of the database (`is_out_of_step`), and the storage refuses further use.
        """
        with self._gathering(), in_words(self._backend):
            connection, changes = retry_while_locked(self._begin, self._backend, wait)
            with closing(connection):
                yield changes
                self._write(connection, wait)

    @contextmanager
    def draft(self, wait: Wait = WAIT) -> Iterator[None]:
        """Run the body against memory as the last transaction left it, then write what it did: all or nothing.

        The database is locked for the writing alone. Raises ChangedMeanwhile if a `transaction` would have found
        changes by then: let one adopt them, and try again. After that, and after any exception in the body or while
        waiting for the database, the memory is as it was before; after one in writing it is as with `transaction`.
        """
        with self._gathering(), in_words(self._backend):
            before = self._memory()
            try:
                yield
                connection, is_changed = retry_while_locked(partial(self._begin_again, before), self._backend, wait)
            except BaseException:
                self._restore(before)
                raise
            with closing(connection):
                if is_changed:
                    self._restore(before)
                    raise ChangedMeanwhile
                self._write(connection, wait)

    def close(self) -> None:
        """Let go of the database; a file has everything in it then, so that it can be copied."""
        self._reader.remove_session()
        self._reader.engine.dispose()
        self._writer.close()

    @contextmanager
    def _gathering(self) -> Iterator[None]:
        """What the body writes is pending."""
        if self.is_out_of_step:
            raise StudyError(
                "the study in memory is ahead of its database after an error; run the same command to resume"
            )
        self._pending = rows.PendingRows()
        try:
            yield
        finally:
            self._pending = None

    def _write(self, connection: sqlalchemy.Connection, wait: Wait) -> None:
        self.is_out_of_step = True
        self._seal()
        self._writer.write(connection, self._to_write(), self._row_ids, wait)
        self.is_out_of_step = False

    # ---- Optuna's writing methods: in memory at once, pending for the transaction ----
    # attributes as JSON gives them back, so that samplers see the same before and after a resume

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        pending, text = self._to_write(), json.dumps(value)
        super().set_study_user_attr(study_id, key, json.loads(text))
        self._is_study_sealed &= key not in OWN_STUDY_ATTRS
        pending.add_attr(rows.STUDY_USER_ATTRS, None, key, text)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        pending, text = self._to_write(), json.dumps(value)
        super().set_study_system_attr(study_id, key, json.loads(text))
        pending.add_attr(rows.STUDY_SYSTEM_ATTRS, None, key, text)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        if template_trial is not None:
            raise StudyError("enqueue trials through another storage, not through the one of the running sweep")
        pending = self._to_write()
        number = super().create_new_trial(study_id)
        self.open_numbers.add(number)
        pending.new_trials.append(self.get_trial(number))
        return number

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """As Optuna's, of the value that it gives back: enqueued for an int, 2.5 is 2 and is stored as 2."""
        pending = self._to_write()
        stored = distribution.to_internal_repr(distribution.to_external_repr(param_value_internal))
        super().set_trial_param(trial_id, param_name, stored, distribution)
        pending.add_param(trial_id, param_name, stored, distribution)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        pending = self._to_write()
        was_waiting = self.get_trial(trial_id).state == TrialState.WAITING
        if not super().set_trial_state_values(trial_id, state, values):
            return False
        if state.is_finished():
            self._count_as_finished(trial_id)
        if was_waiting:
            pending.add_content(self.get_trial(trial_id))
        pending.add_state(self.get_trial(trial_id))
        return True

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        pending = self._to_write()
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)
        pending.add_intermediate_value(trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        pending, text = self._to_write(), json.dumps(value)
        super().set_trial_user_attr(trial_id, key, json.loads(text))
        if key == TRAINED_BY_SWEEP:
            self._own_numbers.add(trial_id)
        pending.add_attr(rows.TRIAL_USER_ATTRS, trial_id, key, text)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        pending, text = self._to_write(), json.dumps(value)
        super().set_trial_system_attr(trial_id, key, json.loads(text))
        pending.add_attr(rows.TRIAL_SYSTEM_ATTRS, trial_id, key, text)

    # ---- loading, and what others write ----

    def _to_write(self) -> rows.PendingRows:
        if self._pending is None:
            raise StudyError("only the sweep writes its study; callbacks, builders and functions can read it")
        return self._pending

    def _load(self, distributions: Mapping[str, BaseDistribution]) -> None:
        database, row = self._reader, self._study_row
        user_attrs, system_attrs = database.get_study_user_attrs(row), database.get_study_system_attrs(row)
        self._remember_study(database.get_study_directions(row), user_attrs, system_attrs, distributions)
        self._is_sealed = DIGEST in system_attrs
        for trial in sorted(database.get_all_trials(row, deepcopy=False), key=lambda trial: trial.number):
            self._add_loaded(trial)

    def _remember_study(
        self,
        directions: Sequence[StudyDirection],
        user_attrs: Mapping[str, Any],
        system_attrs: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
    ) -> None:
        """In an empty memory."""
        study_id = super().create_new_study(directions, self._study_name)
        self.known_distributions(study_id).update(distributions)
        for key, value in user_attrs.items():
            super().set_study_user_attr(study_id, key, value)
        for key, value in system_attrs.items():
            super().set_study_system_attr(study_id, key, value)

    def _memory(self) -> _Memory:
        """As it is now. Finished trials are not copied."""
        trials = self.get_all_trials(STUDY_ID, deepcopy=False)
        for number in self.open_numbers:
            trials[number] = _copied(trials[number])
        return _Memory(
            trials,
            self.get_study_user_attrs(STUDY_ID),
            self.get_study_system_attrs(STUDY_ID),
            {**self.known_distributions(STUDY_ID)},
            {*self._own_numbers},
            {*self.open_numbers},
            [*self.finished_numbers],
            self._is_study_sealed,
        )

    def _restore(self, memory: _Memory) -> None:
        directions = self.get_study_directions(STUDY_ID)
        super().__init__()
        self._remember_study(directions, memory.user_attrs, memory.system_attrs, memory.distributions)
        for trial in memory.trials:
            super().create_new_trial(STUDY_ID)
            self.put_trial(STUDY_ID, trial.number, trial)
        self._own_numbers, self.open_numbers = memory.own_numbers, memory.open_numbers
        self.finished_numbers, self._is_study_sealed = memory.finished_numbers, memory.is_study_sealed

    def _seal(self) -> None:
        """Digests of what the transaction touched; of everything, if the study was made before there were digests."""
        pending, user_attrs = self._to_write(), self.get_study_user_attrs(STUDY_ID)
        if MADE_BY_SWEEP not in user_attrs:
            return
        if not self._is_sealed:
            for number in range(len(self._row_ids)):
                self._take_over(number)
        for trial in map(self.get_trial, pending.touched_trials()):
            if self.is_ours(trial.number):
                pending.add_attr(rows.TRIAL_SYSTEM_ATTRS, trial.number, DIGEST, json.dumps(self._digests.of(trial)))
        self._is_study_sealed &= self._is_sealed
        if not self._is_study_sealed:
            seal = study_digest(self._study_name, self.get_study_directions(STUDY_ID), user_attrs)
            pending.add_attr(rows.STUDY_SYSTEM_ATTRS, None, DIGEST, json.dumps(seal))
            self._is_sealed = self._is_study_sealed = True

    def _take_over(self, number: int) -> None:
        """Write a trial of ours that stands in the database as it was read, so that its digest is of what is stored."""
        trial = self.get_trial(number)
        if self.is_ours(number) and SET_ASIDE not in trial.user_attrs:
            self._to_write().add_content(trial)

    def _add_loaded(self, trial: FrozenTrial) -> None:
        if trial.number != self.num_trials:
            self._set_aside_number(trial)
        self._row_ids[trial.number] = row_id(trial)
        super().create_new_trial(STUDY_ID)
        if is_ours(trial) or (not self._is_sealed and TRAINED_BY_SWEEP in trial.user_attrs):
            self._own_numbers.add(trial.number)
        self._remember(trial)
        (self.finished_numbers.append if trial.state.is_finished() else self.open_numbers.add)(trial.number)

    def _set_aside_number(self, trial: FrozenTrial) -> None:
        """Of a trial that another program wrote; what follows one of ours that was lost is refused."""
        if is_ours(trial):
            raise StudyError(
                f"study {self._study_name} has trial {trial.number} where {self.num_trials} should follow: "
                "another program damaged its numbering; resume under another --study"
            )
        if SET_ASIDE not in trial.user_attrs:
            set_aside(trial, f"its number {trial.number} is not the next one")
        trial.number = self.num_trials

    def _remember(self, trial: FrozenTrial) -> None:
        """A template would be copied, at ten times the cost of reading it."""
        known = self.known_distributions(STUDY_ID)
        if trial.state.is_finished() and not self.is_ours(trial.number):
            trial = without_foreign_params(trial, known, within=True)
        for name, distribution in trial.distributions.items():
            known.setdefault(name, distribution)  # as Optuna's storages: another kind of parameter is refused
        self.put_trial(STUDY_ID, trial.number, trial)

    def _begin(self) -> tuple[sqlalchemy.Connection, list[ForeignChange]]:
        connection = self._writer.begin()
        try:
            self.is_out_of_step = True
            return connection, self._adopt_foreign_changes(connection)
        except BaseException:
            connection.close()
            raise

    def _begin_again(self, before: _Memory) -> tuple[sqlalchemy.Connection, bool]:
        """And whether others have written what a transaction would adopt, since the memory was so."""
        connection = self._writer.begin()
        try:
            known = {(self._row_ids[number], before.trials[number].state.name) for number in before.open_numbers}
            last_row = max(self._row_ids.values(), default=0)
            now, count = self._writer.look(connection, last_row, [row for row, _ in known])
            return connection, {*map(tuple, now)} != known or count != len(self._row_ids)
        except BaseException:
            connection.close()
            raise

    def _adopt_foreign_changes(self, connection: sqlalchemy.Connection) -> list[ForeignChange]:
        open_rows = {self._row_ids[number]: number for number in self.open_numbers}
        last_row = max(self._row_ids.values(), default=0)
        now, count = self._writer.look(connection, last_row, [*open_rows])
        missing = set(open_rows) - {row.trial_id for row in now}
        if missing:
            raise StudyError(
                f"trial {open_rows[missing.pop()]} was deleted by another program; nothing more is written"
            )
        changes = [self._adopt(row, open_rows.get(row.trial_id)) for row in now]
        if count != len(self._row_ids):
            raise StudyError("a finished trial was deleted by another program; nothing more is written")
        return [change for change in changes if change is not None]

    def _adopt(self, row: Any, number: int | None) -> ForeignChange | None:
        if number is not None and row.state == self.get_trial(number).state.name:
            return None
        trial = self._reader.get_trial(row.trial_id)  # beside the transaction: what was committed before it began
        if number is None:
            self._add_loaded(trial)
        else:
            self._follow_told(number, trial)
        return ForeignChange(trial.number, number is None, trial.state, trial.user_attrs.get(SET_ASIDE))

    def _follow_told(self, number: int, trial: FrozenTrial) -> None:
        """Nothing of it is pending, so the database has all there is."""
        trial.number = number
        self._remember(trial)
        if trial.state.is_finished():
            self._count_as_finished(number)
        self._take_over(number)

    def _count_as_finished(self, number: int) -> None:
        self.open_numbers.discard(number)
        self.finished_numbers.append(number)


def _copied(trial: FrozenTrial) -> FrozenTrial:
    """Optuna's `Trial` edits what the storage gives it, and so what the storage had before."""
    copied = copy(trial)
    for name in ("params", "distributions", "intermediate_values", "user_attrs", "system_attrs"):
        setattr(copied, name, {**getattr(trial, name)})
    return copied


def create_study(
    url: str,
    study_name: str,
    directions: Sequence[StudyDirection],
    user_attrs: dict[str, Any],
    system_attrs: dict[str, Any] | None = None,
) -> None:
    """Create a study with its attributes, all or nothing."""
    seal = {DIGEST: study_digest(study_name, directions, user_attrs)} if MADE_BY_SWEEP in user_attrs else {}
    backend = backend_of(url)
    engine = backend.connect_writer()
    try:
        with in_words(backend), closing(retry_while_locked(partial(begin, engine), backend)) as connection:
            rows.insert_study(connection, study_name, directions, user_attrs, {**(system_attrs or {}), **seal})
            connection.commit()
    finally:
        engine.dispose()
