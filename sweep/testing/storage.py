"""What every database that stores studies has to fulfill, in addition to Optuna's own `StorageTestCase`.

from sweep.testing.storage import StudyDatabaseContract

class TestMine(StudyDatabaseContract):
    @pytest.fixture
    def empty_url(self, tmp_path):
        return database_url(tmp_path)
"""

from collections.abc import Iterator
from contextlib import suppress

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState

from sweep.errors import StudyError
from sweep.storage.database import connect_reader, create_database, study_lock
from sweep.storage.memory import STUDY_ID
from sweep.storage.new_study import create_study
from sweep.storage.optuna_internals import row_id
from sweep.storage.write_behind import ChangedMeanwhile, WriteBehindStorage

NAME = "study"


class StudyDatabaseContract:
    """Inherit from it and return the URL of an empty database from the fixture `empty_url`."""

    @pytest.fixture
    def url(self, empty_url: str) -> str:
        """Return the URL of a database with one study without trials."""
        create_database(empty_url)
        create_study(empty_url, NAME, [StudyDirection.MAXIMIZE], {"note": "ours"})
        return empty_url

    @pytest.fixture
    def storage(self, url: str) -> Iterator[WriteBehindStorage]:
        """Open the study as a sweep does."""
        storage = WriteBehindStorage(url, NAME)
        yield storage
        storage.close()

    def others(self, url: str) -> optuna.Study:
        """Return the study as a program of plain Optuna opens it to write."""
        return optuna.load_study(study_name=NAME, storage=connect_reader(url, write=True))

    def test_creating_twice_keeps_what_there_is(self, url: str) -> None:
        """Every sweep creates what is missing."""
        create_database(url)
        assert self.others(url).user_attrs["note"] == "ours"

    def test_a_transaction_is_seen_by_others_once_it_has_ended(self, url: str, storage: WriteBehindStorage) -> None:
        """A dashboard must never see half a trial."""
        study = optuna.load_study(study_name=NAME, storage=storage)
        with storage.transaction():
            trial = study.ask()
            trial.suggest_float("rate", 0, 1)
            trial.report(0.5, 1)
            study.tell(trial, 0.25)
            assert not self.others(url).trials
        (read,) = self.others(url).trials
        assert (read.params, read.value, read.intermediate_values) == (trial.params, 0.25, {1: 0.5})

    def test_a_transaction_that_fails_writes_nothing(self, url: str, storage: WriteBehindStorage) -> None:
        """All or nothing: what is stored is what a resumed sweep continues from."""
        study = optuna.load_study(study_name=NAME, storage=storage)
        with pytest.raises(ZeroDivisionError), storage.transaction():
            study.tell(study.ask(), 1 / 0)
        assert not self.others(url).trials

    def test_trials_of_others_are_adopted(self, url: str, storage: WriteBehindStorage) -> None:
        """A trial that somebody enqueues, or finishes in the dashboard, is part of the study."""
        others = self.others(url)
        others.enqueue_trial({"rate": 0.5})
        with storage.transaction() as changes:
            assert [(change.number, change.is_new) for change in changes] == [(0, True)]
        others.tell(others.ask(), 0.75)
        with storage.transaction() as changes:
            assert [change.state for change in changes] == [TrialState.COMPLETE]
        assert storage.get_trial(0).value == 0.75

    def test_a_draft_is_dropped_if_others_wrote_meanwhile(self, url: str, storage: WriteBehindStorage) -> None:
        """A sampler is asked without holding the database, and its trial must not collide with another one."""
        study = optuna.load_study(study_name=NAME, storage=storage)
        others = self.others(url)

        def ask_while_others_write() -> None:
            with storage.draft():
                study.ask()
                others.enqueue_trial({"rate": 0.5})

        with pytest.raises(ChangedMeanwhile):
            ask_while_others_write()
        assert not storage.get_all_trials(STUDY_ID)
        assert [trial.state for trial in others.trials] == [TrialState.WAITING]

    def test_a_finished_trial_cannot_be_set_again(self, url: str, storage: WriteBehindStorage) -> None:
        """The result of a trial is final, whatever another program attempts."""
        study = optuna.load_study(study_name=NAME, storage=storage)
        with storage.transaction():
            study.tell(study.ask(), 0.25)
        reader = connect_reader(url, write=True)
        (trial,) = reader.get_all_trials(reader.get_study_id_from_name(NAME))
        with suppress(Exception):  # Optuna's error, or the database's
            reader.set_trial_state_values(row_id(trial), TrialState.COMPLETE, [1.0])
        assert self.others(url).trials[0].value == 0.25

    def test_a_study_has_one_sweep_at_a_time(self, url: str) -> None:
        """Two of them would sample the same trials; other studies of the database are not affected."""
        with study_lock(url, NAME):
            with pytest.raises(StudyError), study_lock(url, NAME):
                pass
            with study_lock(url, "another"):
                pass
        with study_lock(url, NAME):
            pass
