"""URLs, names, reading, and files that are not ours."""

import errno
import fcntl
import gc
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from faults.deny_writes import read_only_mount
from sweeps import make_space, run_sweep

from sweep.config.study_name import check_study_name
from sweep.errors import StudyError
from sweep.storage import (
    LiveStorage,
    backend_of,
    connect_reader,
    create_database,
    database_url,
    list_studies,
    read_study,
    study_lock,
)
from sweep.storage.sqlite import backend
from sweep.storage.sqlite.files import rename_durably


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


@pytest.mark.slow
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
    def fill_the_disk(path):
        create_schema(path)
        raise OSError(errno.ENOSPC, "No space left on device")

    create_schema = backend._create_schema
    monkeypatch.setattr(backend, "_create_schema", fill_the_disk)
    with pytest.raises(StudyError, match="the disk is full; free some space"):
        create_database(database_url(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [".sweep.db.creating"]


KILL_IN_COMMIT = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
assert connection.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
connection.execute("PRAGMA cache_size=1")  # so that pages are written before the commit
connection.execute("BEGIN")
connection.execute("UPDATE studies SET study_name = 'half written'")
connection.execute("CREATE TABLE filler (content)")
connection.execute("INSERT INTO filler VALUES (zeroblob(100000))")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_another_program_left_half_written_is_rolled_back_by_whoever_reads(tmp_path):
    """Plain Optuna keeps no write-ahead log."""
    path = tmp_path / "first" / "sweep.db"
    path.parent.mkdir()
    url = database_url(path.parent)
    optuna.create_study(study_name="study", storage=url).optimize(lambda trial: 0.5, n_trials=2)
    process = subprocess.run([sys.executable, "-c", KILL_IN_COMMIT, str(path)], check=False)
    assert process.returncode == -signal.SIGKILL
    assert path.with_name("sweep.db-journal").exists()
    readers = list_studies, connect_reader, LiveStorage, create_database, lambda url: read_study(url, "study")
    for number, use in enumerate(readers):
        folder = Path(shutil.copytree(path.parent, tmp_path / str(number)))
        use(database_url(folder))
        assert [study.name for study in list_studies(database_url(folder))] == ["study"]
    with read_only_mount(path.parent) as (folder, _):
        if not os.access(folder, os.W_OK):
            with pytest.raises(StudyError, match=r"rolled back.*-journal"):
                list_studies(url)


def test_new_database_is_whole_where_there_are_no_hard_links_and_replaces_nothing(tmp_path, monkeypatch):
    def refuse(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    run_sweep(tmp_path, make_space(), 2).write_behind.close()
    assert len(read_study(database_url(tmp_path), "study").trials) == 2
    (tmp_path / "other.db").write_bytes(b"newer")
    rename_durably(tmp_path / "other.db", tmp_path / "sweep.db")
    assert not (tmp_path / "other.db").exists()
    assert len(read_study(database_url(tmp_path), "study").trials) == 2


def test_logs_of_a_file_that_is_gone_are_kept_and_not_played_into_the_new_one(tmp_path):
    study = run_sweep(tmp_path, make_space(), 2)
    log = (tmp_path / "sweep.db-wal").read_bytes()
    study.write_behind.close()
    (tmp_path / "sweep.db").unlink()
    (tmp_path / "sweep.db-wal").write_bytes(log)
    create_database(database_url(tmp_path))
    assert list_studies(database_url(tmp_path)) == []
    (left,) = tmp_path.glob("sweep.db-wal.left-*")
    assert left.read_bytes() == log


def test_file_system_without_locks_is_named_instead_of_waited_for(tmp_path, monkeypatch):
    url = database_url(tmp_path)
    run_sweep(tmp_path, make_space(), 2).write_behind.close()
    gc.collect()  # connections of the sweep's readers are left to the collector

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with closing(sqlite3.connect(tmp_path / "sweep.db", isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode=EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")  # SQLite says the same where it gets no lock
        with pytest.raises(StudyError, match="does not support locks"):
            list_studies(url)
    monkeypatch.setattr(fcntl, "flock", refuse)
    for use in (create_database, lambda url: study_lock(url, "study").__enter__()):
        with pytest.raises(StudyError, match=r"does not support locks.*choose another --studies"):
            use(url)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "disk is full"),
        (errno.EIO, "disk fails"),
        (errno.EMFILE, "ulimit"),
        (errno.ESTALE, "network"),
        (errno.EROFS, "Read-only file system.*--studies"),
        (errno.EACCES, "Permission denied.*--studies"),
    ],
)
def test_what_the_system_says_is_named_with_what_helps(tmp_path, monkeypatch, number, words):
    def fail(*_):
        raise OSError(number, os.strerror(number))

    url = database_url(tmp_path)
    create_database(url)
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", fail)
        for use in (create_database, lambda url: study_lock(url, "study").__enter__()):
            with pytest.raises(StudyError, match=words) as error:
                use(url)
            assert "\n" not in str(error.value)
            assert "damage" not in str(error.value)
    with study_lock(url, "study"):
        pass


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
