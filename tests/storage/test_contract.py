"""Every database passes the contract in `sweep.testing`."""

import pytest

from sweep.storage import database_url
from sweep.testing.storage import StudyDatabaseContract


class TestSqlite(StudyDatabaseContract):
    @pytest.fixture
    def empty_url(self, tmp_path):
        return database_url(tmp_path)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # plain Optuna leaves connections
class TestPostgres(StudyDatabaseContract):
    @pytest.fixture
    def empty_url(self, server):
        return server.new_database()
