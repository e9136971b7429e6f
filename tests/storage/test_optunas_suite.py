"""Optuna's own test cases for storages, over each of ours on SQLite and on PostgreSQL."""

import gc
import shutil
from functools import partial

import pytest
from optuna.testing.pytest_storages import StorageTestCase
from sqlalchemy import make_url

from sweep.storage import STUDY_ID, LiveStorage, WriteBehindStorage, connect_reader, create_database, database_url
from sweep.storage.reader import Reader
from sweep.storage.writer import MARK

pytestmark = pytest.mark.slow


class ThroughWriteBehind(Reader):
    """Every study of a database: what is written goes through a `WriteBehindStorage` each, a transaction a call.

    What that leaves to others by design (making and deleting studies, trials from templates) is plain Optuna's. What is
    read comes from the database, and of trials is compared with the memory.
    """

    def __init__(self, url):
        super().__init__(url, skip_table_creation=True)
        self._url, self._opened = url, {}

    def __getstate__(self):
        return {**super().__getstate__(), "_opened": {}}

    def _of_study(self, study_id):
        if study_id not in self._opened:
            self._opened[study_id] = WriteBehindStorage(self._url, self.get_study_name_from_id(study_id))
        return self._opened[study_id]

    def _write(self, study_id, call):
        storage = self._of_study(study_id)
        try:
            with storage.transaction():
                return call(storage)
        finally:
            if storage.is_out_of_step:  # the memory is ahead after an error: the next call starts anew
                self._opened.pop(study_id).close()

    def _write_trial(self, method, trial_id, *arguments):
        study_id = self.study_of(trial_id)
        number = Reader.get_trial(self, trial_id).number
        return self._write(study_id, lambda storage: getattr(storage, method)(number, *arguments))

    def delete_study(self, study_id):
        super().delete_study(study_id)
        if study_id in self._opened:
            self._opened.pop(study_id).close()

    def set_study_user_attr(self, study_id, key, value):
        self._write(study_id, lambda storage: storage.set_study_user_attr(STUDY_ID, key, value))

    def set_study_system_attr(self, study_id, key, value):
        self._write(study_id, lambda storage: storage.set_study_system_attr(STUDY_ID, key, value))

    def create_new_trial(self, study_id, template_trial=None):
        if template_trial is not None:
            return super().create_new_trial(study_id, template_trial)
        number = self._write(study_id, lambda storage: storage.create_new_trial(STUDY_ID))
        return self._of_study(study_id).row_id(number)

    def set_trial_param(self, trial_id, param_name, param_value_internal, distribution):
        self._write_trial("set_trial_param", trial_id, param_name, param_value_internal, distribution)

    def set_trial_state_values(self, trial_id, state, values=None):
        return self._write_trial("set_trial_state_values", trial_id, state, values)

    def set_trial_intermediate_value(self, trial_id, *arguments):
        self._write_trial("set_trial_intermediate_value", trial_id, *arguments)

    def set_trial_user_attr(self, trial_id, key, value):
        self._write_trial("set_trial_user_attr", trial_id, key, value)

    def set_trial_system_attr(self, trial_id, key, value):
        self._write_trial("set_trial_system_attr", trial_id, key, value)

    def get_study_system_attrs(self, study_id):
        return {key: value for key, value in super().get_study_system_attrs(study_id).items() if key != MARK}

    def get_all_studies(self):
        studies = super().get_all_studies()
        for study in studies:
            study.system_attrs.pop(MARK, None)
        return studies

    def get_all_trials(self, study_id, deepcopy=True, states=None):
        trials = super().get_all_trials(study_id, deepcopy, states)
        storage = self._of_study(study_id)
        with storage.transaction():  # others' trials are adopted
            remembered = {storage.row_id(trial.number): trial for trial in storage.get_all_trials(STUDY_ID)}
        for trial in trials:
            memory = remembered[trial._trial_id]
            memory._trial_id = trial._trial_id
            assert (memory.state, memory.params, repr(memory.values)) == (trial.state, trial.params, repr(trial.values))
            assert repr(memory.intermediate_values) == repr(trial.intermediate_values)
            assert repr([memory.user_attrs, memory.system_attrs]) == repr([trial.user_attrs, trial.system_attrs])
        return trials


STORAGES = {
    "reader": partial(connect_reader, write=True),
    "dashboard": partial(LiveStorage, write=True),
    "write-behind": ThroughWriteBehind,
}


def close(storage):
    """Plain Optuna leaves connections to the collector, and psycopg warns of them."""
    for opened in getattr(storage, "_opened", {}).values():
        opened.close()
    database = getattr(storage, "_backend", storage)  # of Optuna's cache
    database.remove_session()
    database.engine.dispose()


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A database without a study: making one takes a second."""
    folder = tmp_path_factory.mktemp("template")
    create_database(database_url(folder))
    return folder


@pytest.fixture(scope="module")
def template_database(server):
    """The name of one without a study."""
    url = server.new_database()
    create_database(url)
    gc.collect()  # a template must not be in use, and plain Optuna leaves its connections to the collector
    return make_url(url).database


class TestOnSqlite(StorageTestCase):
    @pytest.fixture(params=STORAGES)
    def storage(self, request, template, tmp_path):
        shutil.copy(template / "sweep.db", tmp_path)
        storage = STORAGES[request.param](database_url(tmp_path))
        yield storage
        close(storage)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.exhaustive
class TestOnPostgres(StorageTestCase):
    @pytest.fixture(params=STORAGES)
    def storage(self, request, server, template_database):
        storage = STORAGES[request.param](server.new_database(template_database))
        yield storage
        close(storage)
        gc.collect()
