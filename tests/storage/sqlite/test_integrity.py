"""A file that is damaged as a whole is refused in one line, and one that is merely in use is not."""

import errno
import os
import shutil
import subprocess
import sys

import pytest
from sweeps import make_space, open_in, run_sweep

from sweep.errors import StudyError
from sweep.storage import LiveStorage, create_database, database_url, list_studies, read_study
from sweep.storage.reader import Reader
from sweep.storage.sqlite import integrity
from sweep.storage.sqlite.backup import back_up
from sweep.storage.sqlite.wal import loses_transactions

SWEEP = """
import sys
from pathlib import Path
from sweeps import make_space, run_sweep
run_sweep(Path(sys.argv[1]), make_space("random", "median", epochs=40), 60, num_lanes=3)
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A database in one file; written by no test."""
    folder = tmp_path_factory.mktemp("ended")
    run_sweep(folder, make_space(), 8).write_behind.close()
    return folder / "sweep.db"


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A database whose trials are in its log; written by no test."""
    folder = tmp_path_factory.mktemp("killed")
    working = folder / "working"
    study = run_sweep(working, make_space(), 8)
    for name in ("sweep.db", "sweep.db-wal"):
        shutil.copyfile(working / name, folder / name)
    study.write_behind.close()
    return folder / "sweep.db"


def refuse(folder):
    """Every way to open it; the one line of the last."""
    url = database_url(folder)
    for use in (list_studies, LiveStorage, create_database, lambda url: read_study(url, "study")):
        with pytest.raises(StudyError) as error:
            use(url)
        assert "not usable as a study database" in str(error.value)
        assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("length", [0, 1, 99, 5000, 4096 * 7, -5000])
def test_file_that_was_cut_off_is_refused_and_left_as_it_is(tmp_path, ended, length):
    content = ended.read_bytes()[:length]
    (tmp_path / "sweep.db").write_bytes(content)
    refuse(tmp_path)
    assert (tmp_path / "sweep.db").read_bytes() == content


def test_broken_page_is_refused(tmp_path, ended):
    content = ended.read_bytes()
    (tmp_path / "sweep.db").write_bytes(content[: 4096 * 5] + bytes(4096) + content[4096 * 6 :])
    refuse(tmp_path)


def test_disk_that_fails_to_read_once_is_no_damage_and_one_that_fails_again_is_named(tmp_path, ended, monkeypatch):
    shutil.copyfile(ended, tmp_path / "sweep.db")
    found = ["Page 3: unable to get the page. error code=266"]

    def fail_once(database):
        return found.pop() if found else None

    monkeypatch.setattr(integrity, "_find_broken_structure", fail_once)
    assert len(read_study(database_url(tmp_path), "study").trials) == 8
    assert found == []

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    found.append("Page 3: unable to get the page. error code=266")
    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(StudyError, match="the disk fails to read"):
        read_study(database_url(tmp_path), "study")


def test_what_optuna_cannot_read_is_not_called_damage_where_every_check_passes(tmp_path, ended, monkeypatch):
    shutil.copyfile(ended, tmp_path / "sweep.db")

    def fail(*_, **__):
        raise AssertionError("an unknown kind of row")

    monkeypatch.setattr(Reader, "_get_trials", fail)
    with pytest.raises(StudyError, match=r"an unknown kind of row.*passes") as error:
        read_study(database_url(tmp_path), "study")
    assert "mv" not in str(error.value)


def copy_log(folder, killed, log):
    shutil.copyfile(killed, folder / "sweep.db")
    (folder / "sweep.db-wal").write_bytes(log)
    return loses_transactions(folder / "sweep.db-wal")


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.0, 0.0001, 0.3, 0.9])
def test_damaged_log_is_refused_before_sqlite_drops_what_it_holds(tmp_path, killed, share):
    log = bytearray(killed.with_name("sweep.db-wal").read_bytes())
    assert not copy_log(tmp_path, killed, log)
    log[int(share * len(log))] ^= 1
    assert copy_log(tmp_path, killed, log)
    assert "write-ahead log" in refuse(tmp_path)


def test_transaction_that_a_crash_cut_off_is_no_damage(tmp_path, killed):
    log = killed.with_name("sweep.db-wal").read_bytes()
    frame = 24 + 4096
    for rest in (log[:-frame], log[:-100], log[: 32 + 100], log[:-4096] + bytes(4096), log[:20], b""):
        assert not copy_log(tmp_path, killed, rest)
    assert not copy_log(tmp_path, killed, log[:-100])
    assert len(read_study(database_url(tmp_path), "study").trials) == 8


@pytest.mark.slow
def test_reading_while_a_sweep_writes_is_no_false_alarm(tmp_path):
    open_in(tmp_path, make_space("random", "median", epochs=40), num_lanes=3)
    url = database_url(tmp_path)
    live = LiveStorage(url)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", SWEEP, str(tmp_path)], env=environment) as process:
        num_seen = []
        while process.poll() is None:
            num_seen.append(len(read_study(url, "study").trials))
            list_studies(url)
            live.get_all_trials(1)
            back_up(tmp_path / "sweep.db")
    assert process.returncode == 0
    assert len(set(num_seen)) > 2
    assert len(live.get_all_trials(1)) == 60
