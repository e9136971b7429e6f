"""URLs, names, reading, and files that are not ours."""

import errno
import os
import sqlite3
import threading

import optuna
import pytest
from faults.deny_writes import read_only_mount
from sweeps import make_space, run_sweep

from sweep.errors import StudyError
from sweep.storage import (
    backend_of,
    check_study_name,
    connect_reader,
    create_database,
    database_url,
    list_studies,
    read_study,
    sqlite,
)


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


@pytest.mark.parametrize("url", ["postgresql://me:hush@host/db", "postgresql://host/db?password=hush"])
def test_a_password_on_the_command_line_is_refused_with_the_fix(tmp_path, monkeypatch, url):
    with pytest.raises(
        StudyError, match=r"every user .* can read a password in the command line; .*SWEEP_STORAGE.*pgpass"
    ):
        database_url(tmp_path, url)
    monkeypatch.setenv("SWEEP_STORAGE", url)
    assert "hush" in database_url(tmp_path)
    assert "hush" not in backend_of(database_url(tmp_path)).name


def test_the_flag_goes_before_the_environment_and_that_before_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SWEEP_STORAGE", f"sqlite:///{tmp_path}/env.db")
    assert database_url(tmp_path) == f"sqlite:///{tmp_path}/env.db"
    assert database_url(tmp_path, f"sqlite:///{tmp_path}/flag.db") == f"sqlite:///{tmp_path}/flag.db"
    monkeypatch.setenv("SWEEP_STORAGE", "")
    assert database_url(tmp_path) == f"sqlite:///{tmp_path}/sweep.db"


def test_reader_cannot_write(tmp_path):
    run_sweep(tmp_path, make_space(), 2)
    reader = connect_reader(database_url(tmp_path))
    study = optuna.load_study(study_name="study", storage=reader)
    assert len(study.trials) == 2
    with pytest.raises(StudyError, match="read-only"):
        study.ask()
    with pytest.raises(StudyError, match="read-only"):
        optuna.delete_study(study_name="study", storage=reader)


def test_missing_and_foreign_files_are_one_line_errors(tmp_path):
    with pytest.raises(StudyError, match="no studies yet"):
        connect_reader(database_url(tmp_path))
    (tmp_path / "sweep.db").write_bytes(b"this is no database at all, but long enough to look at" * 40)
    with pytest.raises(StudyError, match="not usable"):
        create_database(database_url(tmp_path))


def test_reading_and_opening_wait_while_another_program_locks_readers_out_too(tmp_path, capsys):
    create_database(database_url(tmp_path))
    for use in (create_database, list_studies):
        holder = sqlite3.connect(tmp_path / "sweep.db", isolation_level=None, check_same_thread=False)
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        threading.Timer(1.5, holder.close).start()
        use(database_url(tmp_path))
        said = capsys.readouterr().err
        assert "waiting: another program has locked the database" in said
        assert "the database is free again" in said


def test_study_on_a_read_only_medium_is_read(tmp_path):
    run_sweep(tmp_path / "studies", make_space(), 2).write_behind.close()
    for suffix in ("-wal", "-shm"):  # as it was copied there: one file
        (tmp_path / "studies" / f"sweep.db{suffix}").unlink(missing_ok=True)
    with read_only_mount(tmp_path / "studies") as (folder, _):
        if os.access(folder, os.W_OK):
            pytest.skip("root may write here, and may not mount")
        assert len(read_study(database_url(folder), "study").trials) == 2


def test_failure_of_the_schema_leaves_nothing_that_would_be_taken_for_a_database(tmp_path, monkeypatch):
    def fill_the_disk(path, journal_mode):
        create_schema(path, journal_mode)
        raise OSError(errno.ENOSPC, "No space left on device")

    create_schema = sqlite._create_schema
    monkeypatch.setattr(sqlite, "_create_schema", fill_the_disk)
    with pytest.raises(StudyError, match="the disk is full; free space"):
        create_database(database_url(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [".sweep.db.creating"]


def test_another_programs_database_is_left_as_it_is(tmp_path):
    path = tmp_path / "sweep.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE studies (id INTEGER)")
    before = path.read_bytes()
    for use in (create_database, connect_reader):
        with pytest.raises(StudyError, match="another program's database"):
            use(database_url(tmp_path))
    assert path.read_bytes() == before


def test_unknown_study_names_those_there_are(tmp_path):
    run_sweep(tmp_path, make_space(), 1)
    with pytest.raises(StudyError, match="there are: study"):
        read_study(database_url(tmp_path), "other")


def test_list_counts_and_finds_the_best(tmp_path):
    study = run_sweep(tmp_path, make_space("tpe", "median"), 20)
    (summary,) = list_studies(database_url(tmp_path))
    assert (summary.name, summary.directions) == ("study", [optuna.study.StudyDirection.MAXIMIZE])
    assert summary.num_trials.total() == 20
    assert summary.num_trials["PRUNED"] == len(study.get_trials(states=[optuna.trial.TrialState.PRUNED])) > 0
    assert summary.best_value == study.best_value
    assert summary.last_activity is not None


def test_database_is_in_write_ahead_mode(tmp_path):
    create_database(database_url(tmp_path))
    with sqlite3.connect(tmp_path / "sweep.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
