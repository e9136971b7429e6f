"""URLs, names, reading, and files that are not ours."""

import sqlite3

import optuna
import pytest
from sweeps import make_space, run_sweep

from sweep.errors import StudyError
from sweep.storage import check_study_name, connect_reader, create_database, database_url, list_studies, read_study


@pytest.mark.parametrize("name", ["", "a/b", "../up", "a\\b", ".hidden", "-flag", "a b", "a\n", "ü", "x" * 101, "a;b"])
def test_study_name_is_a_name(name):
    with pytest.raises(StudyError, match="study name"):
        check_study_name(name)


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://me:hush@host/db",
        "sqlite:///a.db?mode=ro",
        "sqlite://me:hush@host/x.db",
        "foo://me:hush@h:x/y",
    ],
)
def test_bad_urls_are_refused_without_showing_secrets(tmp_path, url):
    with pytest.raises(StudyError) as error:
        database_url(tmp_path, url)
    assert "hush" not in str(error.value)


def test_reader_cannot_write(tmp_path):
    run_sweep(tmp_path, make_space(), 2)
    reader = connect_reader(database_url(tmp_path))
    study = optuna.load_study(study_name="study", storage=reader)
    assert len(study.trials) == 2
    with pytest.raises(optuna.exceptions.StorageInternalError):
        study.ask()
    with pytest.raises(optuna.exceptions.StorageInternalError):
        optuna.delete_study(study_name="study", storage=reader)


def test_missing_and_foreign_files_are_one_line_errors(tmp_path):
    with pytest.raises(StudyError, match="no studies yet"):
        connect_reader(database_url(tmp_path))
    (tmp_path / "sweep.db").write_bytes(b"this is no database at all, but long enough to look at" * 40)
    with pytest.raises(StudyError, match="not usable"):
        create_database(database_url(tmp_path))


def test_another_programs_database_is_left_as_it_is(tmp_path):
    path = tmp_path / "sweep.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE studies (id INTEGER)")
    before = path.read_bytes()
    for use in (create_database, connect_reader):
        with pytest.raises(StudyError, match="another program's database"):
            use(database_url(tmp_path))
    assert path.read_bytes() == before


def test_study_of_several_objectives_is_refused(tmp_path):
    create_database(database_url(tmp_path))
    optuna.create_study(study_name="two", storage=database_url(tmp_path), directions=["minimize", "maximize"])
    with pytest.raises(StudyError, match="has 2 objectives"):
        read_study(database_url(tmp_path), "two")


def test_unknown_study_names_those_there_are(tmp_path):
    run_sweep(tmp_path, make_space(), 1)
    with pytest.raises(StudyError, match="there are: study"):
        read_study(database_url(tmp_path), "other")


def test_list_counts_and_finds_the_best(tmp_path):
    study = run_sweep(tmp_path, make_space("tpe", "median"), 20)
    (summary,) = list_studies(database_url(tmp_path))
    assert (summary.name, summary.direction) == ("study", "maximize")
    assert summary.num_trials.total() == 20
    assert summary.num_trials["PRUNED"] == len(study.get_trials(states=[optuna.trial.TrialState.PRUNED])) > 0
    assert summary.best_value == study.best_value
    assert summary.last_activity is not None


def test_database_is_in_write_ahead_mode(tmp_path):
    create_database(database_url(tmp_path))
    with sqlite3.connect(tmp_path / "sweep.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
