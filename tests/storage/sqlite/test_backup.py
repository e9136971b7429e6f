"""Backups: complete, bounded, good, and put back by the command that the error names."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sweeps import make_space, open_in, read_trials, run_sweep

from sweep.cli.parser import main
from sweep.errors import StudyError
from sweep.storage import create_database, database_url, read_study
from sweep.storage.sqlite.backup import back_up, newest_good
from sweep.storage.sqlite.integrity import copy_problem

SPACE = """
[study]
name = "study"
[training]
epochs = 2
[space.momentum]
key = "optimizer.momentum"
type = "float"
low = 0.0
high = 0.9
"""
BACK_UP = """
import sys
from pathlib import Path
from sweep.storage.sqlite.backup import back_up
for _ in range(8):
    back_up(Path(sys.argv[1]))
"""


def names(folder):
    return sorted(path.name for path in (folder / "backups").iterdir() if not path.name.endswith(".lock"))


def damage_score(folder):
    with closing(sqlite3.connect(folder / "sweep.db")) as database, database:
        database.execute("UPDATE trial_values SET value = value / 2 WHERE trial_id = 2")


@pytest.fixture
def swept(tmp_path):
    run_sweep(tmp_path, make_space(), 4).write_behind.close()
    return tmp_path


@pytest.mark.slow
def test_each_start_of_a_sweep_keeps_a_backup_and_five_are_kept(tmp_path, capsys):
    space, studies = tmp_path / "space.toml", tmp_path / "studies"
    space.write_text(SPACE)
    for num_trials in range(1, 9):
        command = ["run", str(space), "--engine", "fake", "--quiet", "--studies", str(studies)]
        assert main([*command, "--trials", str(num_trials)]) == 0
        if num_trials == 1:
            assert not (studies / "backups").exists() or names(studies) == []  # there was nothing to keep
    assert names(studies) == [f"sweep.db.{number:06d}" for number in range(3, 8)]
    for number in range(3, 8):
        (studies / "copy").mkdir(exist_ok=True)
        (studies / "copy" / "sweep.db").write_bytes((studies / "backups" / f"sweep.db.{number:06d}").read_bytes())
        assert len(read_trials(studies / "copy")) == number


def test_printed_command_puts_the_backup_back_and_the_study_goes_on(swept):
    before = read_trials(swept)
    back_up(swept / "sweep.db")
    run_sweep(swept, make_space(), 6).write_behind.close()
    damage_score(swept)
    (swept / "sweep.db-wal").write_bytes(b"left by what wrote there last")
    with pytest.raises(StudyError) as error:
        read_study(database_url(swept), "study")
    line = str(error.value)
    assert str(swept / "backups" / "sweep.db.000001") in line
    assert "4 finished trials (the damaged one shows 6" in line
    subprocess.run(line[line.index("mkdir ") :], shell=True, check=True)
    assert read_trials(swept) == before
    (aside,) = swept.glob("sweep.db.damaged-*")
    assert (aside / "sweep.db-wal").read_bytes() == b"left by what wrote there last"
    with closing(sqlite3.connect(aside / "sweep.db")) as database:
        assert database.execute("SELECT count(*) FROM trial_values").fetchone() == (6,)
    unbroken = run_sweep(swept / "unbroken", make_space(), 8)
    run_sweep(swept, make_space(), 8)
    assert read_trials(swept) == read_trials(swept / "unbroken")
    unbroken.write_behind.close()


def test_damaged_database_is_not_backed_up(swept):
    good = back_up(swept / "sweep.db")
    damage_score(swept)
    for _ in range(6):  # which the other studies of the file are not to blame for
        assert back_up(swept / "sweep.db") is None
    content = (swept / "sweep.db").read_bytes()
    (swept / "sweep.db").write_bytes(content[: 4096 * 5] + bytes(4096) + content[4096 * 6 :])
    with pytest.raises(StudyError, match=r"\.000001"):
        back_up(swept / "sweep.db")
    assert names(swept) == [good.name]
    assert copy_problem(good) is None


def test_damaged_backup_is_passed_over(swept):
    first, second, third = (back_up(swept / "sweep.db") for _ in range(3))
    third.write_bytes(b"")
    content = second.read_bytes()
    second.write_bytes(content[: 4096 * 5] + bytes(4096) + content[4096 * 6 :])
    assert newest_good(swept / "sweep.db") == first
    assert back_up(swept / "sweep.db").name == "sweep.db.000004"


def test_what_a_killed_backup_left_is_removed(swept):
    (swept / "backups").mkdir()
    for name in (".sweep.db.partial", ".sweep.db.partial-journal"):
        (swept / "backups" / name).write_bytes(b"half")
    back_up(swept / "sweep.db")
    assert names(swept) == ["sweep.db.000001"]


def test_database_without_studies_is_not_kept(tmp_path):
    create_database(database_url(tmp_path))
    assert back_up(tmp_path / "sweep.db") is None
    assert names(tmp_path) == []


def test_backups_of_two_databases_in_one_folder_are_told_apart(swept):
    run_sweep(swept / "elsewhere", make_space(), 2).write_behind.close()
    (swept / "elsewhere" / "sweep.db").rename(swept / "other.db")
    for name in ("sweep.db", "other.db", "sweep.db"):
        back_up(swept / name)
    assert names(swept) == ["other.db.000001", "sweep.db.000001", "sweep.db.000002"]
    assert newest_good(swept / "other.db").name == "other.db.000001"


def test_sweeps_that_start_at_once_do_not_collide(swept):
    command = [sys.executable, "-c", BACK_UP, str(swept / "sweep.db")]
    processes = [subprocess.Popen(command) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: back_up(swept / "sweep.db"), range(8)))
    assert [process.wait() for process in processes] == [0, 0]
    assert names(swept) == [f"sweep.db.{number:06d}" for number in range(20, 25)]
    assert all(copy_problem(swept / "backups" / name) is None for name in names(swept))


def test_backup_holds_what_is_still_in_the_log_of_a_sweep_that_runs(tmp_path):
    study = open_in(tmp_path, make_space())
    with study.write_behind.transaction():
        study.ask_next().set_user_attr("seed", 1)
    backup = back_up(tmp_path / "sweep.db")
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "sweep.db").write_bytes(backup.read_bytes())
    assert [trial["state"] for trial in read_trials(tmp_path / "copy")] == ["RUNNING"]


def test_folder_that_takes_no_backup_is_said_in_one_line(swept):
    (swept / "backups").write_text("a file where the folder should be")
    with pytest.raises(StudyError, match="backups: cannot be written") as error:
        back_up(swept / "sweep.db")
    assert "\n" not in str(error.value)
