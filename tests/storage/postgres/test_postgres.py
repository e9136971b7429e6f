"""Studies on a real PostgreSQL: what holds on SQLite holds here, whoever dies, the launcher or the server."""

import gc
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import closing

import optuna
import psycopg
import pytest
import sqlalchemy
from faults.sweep_process import Sweep, SweepProcess
from optuna.trial import TrialState
from postgres_server import using
from sweeps import make_space, open_in, read_trials, request, run_sweep

from sweep.cli.dashboard_server import create_app
from sweep.cli.parser import main
from sweep.errors import StudyError
from sweep.storage import Wait, WriteBehindStorage, connect_reader, database_url, read_study, study_lock
from sweep.storage.postgres.backend import PostgresBackend

# plain Optuna leaves its connections to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
SWEEP = Sweep(12, "tpe", 2, epoch_s=0.01)


@pytest.fixture
def url(server, monkeypatch):
    """An empty database, which this process's commands use."""
    url = server.new_database()
    monkeypatch.setenv("SWEEP_STORAGE", url)
    return url


@pytest.fixture(autouse=True)
def collected():
    """Connections that are left open are said here, and not in a later test of another file."""
    yield
    gc.collect()


@pytest.fixture
def swept(tmp_path, url):
    study = run_sweep(tmp_path, make_space("tpe", "median"), 12, 2)
    study.write_behind.close()
    return tmp_path


def unbroken(folder, monkeypatch, sweep=SWEEP):
    """The same sweep on SQLite."""
    with monkeypatch.context() as patch:
        patch.delenv("SWEEP_STORAGE")
        process = SweepProcess(sweep, folder / "unbroken", before=using(None))
        assert process.end() == 0
        return read_trials(folder / "unbroken")


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def num_epochs(server, url):
    try:
        return server.execute("SELECT count(*) FROM trial_intermediate_values", url)[0][0]
    except psycopg.Error:  # no table yet, or the server is away
        return 0


# ---- the same study ----


def test_trials_are_those_of_sqlite(swept, tmp_path, monkeypatch):
    on_postgres = read_trials(swept)
    monkeypatch.delenv("SWEEP_STORAGE")
    run_sweep(tmp_path, make_space("tpe", "median"), 12, 2)
    assert read_trials(tmp_path) == on_postgres
    assert {trial["state"] for trial in on_postgres} == {"COMPLETE", "PRUNED"}


def test_the_commands_read_it(swept, capsys):
    for command in (["list"], ["show", "study"], ["show", "study", "3"], ["report", "study"]):
        assert main([*command, "--studies", str(swept)]) == 0
    assert "best" in capsys.readouterr().out


def test_the_dashboard_reads_it_and_cannot_write(swept, url):
    app = create_app(url, write=False)
    assert len(request(app, "GET", "/api/studies/1")[1]["trials"]) == 12
    with pytest.raises(StudyError, match="read-only"):
        connect_reader(url).set_study_user_attr(1, "a", 1)


# ---- others that write ----


def test_what_others_enqueue_and_tell_is_taken_over(tmp_path, url):
    study = open_in(tmp_path, make_space())
    plain = optuna.load_study(study_name="study", storage=url)
    with study.write_behind.transaction():
        ours = study.ask_next().number
    plain.enqueue_trial({"momentum": 0.5})
    plain.tell(ours, 0.25)
    with study.write_behind.transaction() as changes:
        assert [(change.number, change.is_new) for change in changes] == [(ours, False), (ours + 1, True)]
    assert study.trials[ours].value == 0.25


def test_others_cannot_tell_a_finished_trial_again(swept, url):
    row = optuna.load_study(study_name="study", storage=url).trials[0]._trial_id
    engine = sqlalchemy.create_engine(url)
    statement = sqlalchemy.text(f"UPDATE trials SET state = 'FAIL' WHERE trial_id = {row}")
    with pytest.raises(sqlalchemy.exc.IntegrityError, match="the trial is finished"), engine.begin() as connection:
        connection.execute(statement)


def test_a_changed_digit_is_found(swept, server, url):
    server.execute("UPDATE trial_values SET value = value + 0.001 WHERE trial_value_id = 2", url)
    with pytest.raises(
        StudyError, match=r"has been changed since the sweep wrote it; .*pg_dump.* restore it from the server's backups"
    ):
        read_study(database_url(swept), "study")


# ---- one launcher at a time ----


def test_a_second_launcher_is_refused_and_told_of_the_first(tmp_path, url, capsys):
    first = SweepProcess(Sweep(200, epoch_s=0.05), tmp_path / "first", before=using(url))
    wait_for(lambda: "study study in" in first.output)
    arguments = Sweep(200).arguments(tmp_path / "second")
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert re.search(rf"study study is being swept: sweep on .*, process {first.pid}; wait for it", said), said
    first.send(signal.SIGKILL)
    first.end()


def test_a_launcher_killed_again_and_again_ends_as_the_unbroken_one(tmp_path, server, url, monkeypatch):
    for num_kills in range(1, 5):
        process = SweepProcess(SWEEP, tmp_path / "killed", before=using(url))
        wait_for(lambda at=8 * num_kills: num_epochs(server, url) >= at)
        process.send(signal.SIGKILL)
        assert process.end() == -signal.SIGKILL
    process = SweepProcess(SWEEP, tmp_path / "killed", before=using(url))
    assert process.end() == 0, process.output
    assert read_trials(tmp_path) == unbroken(tmp_path, monkeypatch)


def test_another_launcher_that_came_while_the_server_was_away_is_not_written_over(tmp_path, server, url):
    study = open_in(tmp_path, make_space())
    with study.write_behind.transaction():
        pass
    server.restart()
    with closing(WriteBehindStorage(url, "study")) as other, other.transaction():
        pass
        with pytest.raises(StudyError, match="is being swept: sweep on"), study.write_behind.transaction():
            pass


FORK = """
import os, sys, time
from sweep.storage import study_lock
with study_lock(*sys.argv[1:]):
    child = os.fork()
    if child == 0:
        print(os.getpid(), flush=True)  # what the fork must not share is released by now
        time.sleep(60)
        os._exit(0)
    time.sleep(60)
"""


def test_the_lock_is_not_kept_by_a_process_that_a_users_code_forked(url):
    owner = subprocess.Popen([sys.executable, "-c", FORK, url, "study"], stdout=subprocess.PIPE, text=True)
    with owner:
        child = int(owner.stdout.readline())
        with pytest.raises(StudyError, match="is being swept"), study_lock(url, "study"):
            pass
        owner.kill()
        owner.wait()

        def is_free():
            try:
                with study_lock(url, "study"):
                    return True
            except StudyError:
                return False

        try:
            wait_for(is_free)  # once the server has seen the end of the connection
            os.kill(child, 0)  # it lives
        finally:
            os.kill(child, signal.SIGKILL)


# ---- a server that goes away ----


@pytest.mark.parametrize("by_kill", [False, True])
def test_a_sweep_waits_for_its_server_says_so_and_goes_on(tmp_path, server, url, monkeypatch, by_kill):
    process = SweepProcess(SWEEP, tmp_path / "waiting", before=using(url))
    for num_restarts in (1, 2):
        wait_for(lambda at=12 * num_restarts: num_epochs(server, url) >= at)
        server.restart(by_kill=by_kill)
    assert process.end() == 0, process.output
    assert PostgresBackend.why_waiting in process.output
    assert PostgresBackend.end_of_waiting in process.output
    assert read_trials(tmp_path) == unbroken(tmp_path, monkeypatch)


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_commit_whose_answer_is_lost_is_made_once(tmp_path, server, url, is_committed):
    study = run_sweep(tmp_path, make_space("random"), 3)
    engine = study.write_behind._writer._engine
    ended = []

    @sqlalchemy.event.listens_for(engine, "commit")
    def lose(connection):
        if not ended:
            ended.append(connection.connection.dbapi_connection.info.backend_pid)
            if is_committed:
                connection.connection.dbapi_connection.commit()
            server.execute(f"SELECT pg_terminate_backend({ended[0]})")
            connection.exec_driver_sql("SELECT 1")  # notices

    notices = []
    with study.write_behind.transaction(Wait(notice=notices.append)):
        number = study.ask_next().number
    assert ended
    stored = optuna.load_study(study_name="study", storage=url)
    assert [trial.number for trial in stored.trials] == [0, 1, 2, number]
    with study.write_behind.transaction():
        study.tell_number(number, TrialState.FAIL)
    assert stored.trials[number].state == TrialState.FAIL


# ---- what is wrong is one line ----


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql+psycopg://me:hush@127.0.0.1:1/x", "the server cannot be reached; start it, or correct the URL"),
        ("postgresql+psycopg2://me:hush@host/x", "psycopg2 as given is not supported; use .* postgresql\\+psycopg"),
        ("postgresql://me:hush@nowhere.invalid/x", "correct the host in the URL"),
    ],
)
def test_a_server_that_is_not_there_is_one_line_without_the_password(tmp_path, monkeypatch, capsys, url, words):
    monkeypatch.setenv("SWEEP_STORAGE", url)
    assert main(["list", "--studies", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert re.search(words, said), said
    assert said.count("\n") == 1
    assert "hush" not in said


def test_a_database_that_is_not_there_and_one_without_studies(server, tmp_path, monkeypatch, capsys):
    for url, words in ((server.url("nowhere"), "create it on the server"), (server.new_database(), "no studies yet")):
        monkeypatch.setenv("SWEEP_STORAGE", url)
        assert main(["list", "--studies", str(tmp_path)]) == 2
        assert words in capsys.readouterr().err


# ---- copying ----


def test_a_study_is_copied_to_sqlite_and_back_and_goes_on_with_the_same_trials(swept, server, url, monkeypatch, capsys):
    file = f"sqlite:///{swept / 'copy.db'}"
    assert main(["copy", "study", "--to", file]) == 0
    assert "12 trials" in capsys.readouterr().out
    monkeypatch.setenv("SWEEP_STORAGE", file)
    back, studies = server.new_database(), []
    assert main(["copy", "study", "--to", back]) == 0
    for place in (url, file, back):
        monkeypatch.setenv("SWEEP_STORAGE", place)
        run_sweep(swept, make_space("tpe", "median"), 16, 2).write_behind.close()
        studies.append(read_trials(swept))
    assert studies[0] == studies[1] == studies[2]
    assert len(studies[0]) == 16


def test_a_copy_has_every_attribute_and_notes_of_the_dashboard_follow_their_trials(swept, url):
    plain = optuna.load_study(study_name="study", storage=url)
    row = plain.trials[3]._trial_id
    plain._storage.set_study_system_attr(plain._study_id, f"dashboard:{row}:note_ver", 1)
    plain.add_trial(optuna.trial.create_trial(value=float("inf"), intermediate_values={1: float("nan")}))
    file = f"sqlite:///{swept / 'copy.db'}"
    optuna.create_study(study_name="other", storage=file).ask()  # so that row ids differ
    assert main(["copy", "study", "--to", file]) == 0
    copied = optuna.load_study(study_name="study", storage=file)
    assert f"dashboard:{copied.trials[3]._trial_id}:note_ver" in copied._storage.get_study_system_attrs(2)
    assert [trial.datetime_complete for trial in copied.trials] == [trial.datetime_complete for trial in plain.trials]
    assert [repr(trial.intermediate_values) for trial in copied.trials] == [
        repr(trial.intermediate_values) for trial in plain.trials
    ]
    assert copied.user_attrs == plain.user_attrs


def test_a_copy_is_refused_where_it_would_lose_something(swept, url, capsys):
    file = f"sqlite:///{swept / 'copy.db'}"
    assert main(["copy", "study", "--to", url]) == 2
    assert main(["copy", "nowhere", "--to", file]) == 2
    assert main(["copy", "study", "--to", file]) == 0
    assert main(["copy", "study", "--to", file]) == 2
    assert main(["copy", "study", "--to", "postgresql://me:hush@host/x"]) == 2
    said = capsys.readouterr().err.splitlines()
    words = ["onto itself", "no study named nowhere", "has a study study already", "--to: every user"]
    assert [word in line for word, line in zip(words, said, strict=True)] == [True] * 4
