"""The dashboard over HTTP and in a real browser, and what a sweep puts into its study for it."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager

import optuna
import optuna_dashboard
import plotly.graph_objects as go
import pytest
from optuna.trial import TrialState
from optuna_dashboard._custom_plot_data import get_plotly_graph_objects
from sweeps import NASTY, FailingEngine, make_settings, make_space, open_in, read_trials, request, run_sweep

from sweep.cli.dashboard_server import View, _listen, create_app
from sweep.cli.parser import main
from sweep.engines.fake import FakeEngine
from sweep.errors import Cause, StudyError
from sweep.executors.base import LaneLost
from sweep.executors.in_process import InProcessExecutor
from sweep.storage import LiveStorage, connect_reader, database_url, read_study
from sweep.tuning.dashboard_notes import MOST_EPOCHS, MOST_TRIALS, learning_curves, study_attrs
from sweep.tuning.limits import Limits
from sweep.tuning.progress import QuietProgress
from sweep.tuning.study import open_study, stored_settings
from sweep.tuning.tuner import Tuner


def sweep_with_a_failure(folder, num_trials=8):
    run_sweep(folder, make_space(), num_trials, executor=InProcessExecutor(FailingEngine()))


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Read by many tests, written by none."""
    folder = tmp_path_factory.mktemp("studies")
    sweep_with_a_failure(folder)
    return folder


def dump(folder):
    """Every row of the database."""
    import sqlite3

    connection = sqlite3.connect(folder / "sweep.db")
    rows = list(connection.iterdump())
    connection.close()
    return rows


@pytest.mark.slow
def test_damaged_study_is_not_shown_and_the_page_says_why(tmp_path):
    import sqlite3

    sweep_with_a_failure(tmp_path)
    app = create_app(database_url(tmp_path), write=False)
    with sqlite3.connect(tmp_path / "sweep.db") as database:
        database.execute("UPDATE trial_values SET value = value + 0.001 WHERE trial_id = 5")
    database.close()
    for _ in range(2):
        status, answer = request(app, "GET", "/api/studies/1?after=0")
        assert status == 500
        assert "trial 4 of study study has been changed since the sweep wrote it" in answer["reason"]


# ---- what a sweep puts into its study ----


def test_study_note_has_the_command_and_the_space(studies):
    study = optuna.load_study(study_name="study", storage=connect_reader(database_url(studies)))
    note = optuna_dashboard.get_note(study)
    assert 'l2 = { key = "regularizer.l2", type = "float", low = 1e-06, high = 0.01, log = true }' in note
    assert "[training]\nepochs = 9" in note
    settings = {**study.user_attrs["sweep"], "command": "sweep run 'a ```` b.toml'"}
    assert "`````\nsweep run 'a ```` b.toml'\n`````" in study_attrs(settings)["dashboard:note_str:0"]


@pytest.mark.slow
def test_note_follows_the_settings_of_an_empty_study_unless_somebody_edited_it(tmp_path):
    def reopened_note(epochs):
        open_in(tmp_path, make_space(epochs=epochs))
        return optuna_dashboard.get_note(optuna.load_study(study_name="study", storage=database_url(tmp_path)))

    assert ["epochs = 3" in reopened_note(3), "epochs = 5" in reopened_note(5)] == [True, True]
    optuna_dashboard.save_note(optuna.load_study(study_name="study", storage=database_url(tmp_path)), "mine")
    assert reopened_note(7) == "mine"


def test_learning_curves_are_a_figure_of_the_best_trials(studies):
    storage = connect_reader(database_url(studies))
    study = optuna.load_study(study_name="study", storage=storage)
    (figure,) = get_plotly_graph_objects(storage.get_study_system_attrs(study._study_id)).values()
    figure = go.Figure(json.loads(figure))
    names = list(dict.fromkeys(trace.name for trace in figure.data))
    complete = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    best = sorted(complete, key=lambda trial: -trial.value)[:MOST_TRIALS]
    assert names == [f"trial {trial.number}" for trial in best]
    assert [trace.y[-1] for trace in figure.data][1] == pytest.approx(best[0].value, rel=1e-4)


def test_figure_is_bounded_and_strict_json():
    history = [{"epoch": epoch, "loss": 1 / 3, "val_loss": float("inf")} for epoch in range(1, 1002)]
    trial = optuna.create_trial(value=1.0, user_attrs={"history": history})
    figure = learning_curves([trial] * (MOST_TRIALS + 1))
    assert len(figure["data"]) == 4 * MOST_TRIALS
    assert all(len(trace["x"]) <= MOST_EPOCHS + 2 and trace["x"][-1] == 1001 for trace in figure["data"])
    assert json.dumps(figure, allow_nan=False)


@pytest.mark.slow
def test_a_study_that_shrank_its_figure_and_resumed_reads_back(tmp_path):
    """Pieces of an earlier, longer figure must not trail behind."""
    study = run_sweep(tmp_path, make_space(epochs=40), 6)
    key = "dashboard:plot_data:learning_curves:99"
    with study.write_behind.transaction():
        study.write_behind.set_study_system_attr(0, key, "left over")
    run_sweep(tmp_path, make_space(epochs=40), 7)
    storage = connect_reader(database_url(tmp_path))
    assert storage.get_study_system_attrs(1)[key] == ""


def test_traceback_is_a_note_on_the_trial_where_there_is_none_yet(tmp_path):

    class Noted(InProcessExecutor):
        """Somebody writes a note on trial 1 while it runs; both trials fail."""

        num_waits = 0

        def wait(self):
            self.num_waits += 1
            if self.num_waits == 2:
                study = optuna.load_study(study_name="study", storage=f"sqlite:///{tmp_path / 'sweep.db'}")
                optuna_dashboard.save_note(optuna.trial.Trial(study, study.trials[1]._trial_id), "mine")
            return [LaneLost(0, Cause.USER_ERROR, f"error {self.num_waits}", f"  File x\n{NASTY}")]

    run_sweep(tmp_path, make_space(), 2, executor=Noted(FakeEngine()))
    _, detail = request(create_app(database_url(tmp_path), write=False), "GET", "/api/studies/1")
    assert [trial["note"]["body"] for trial in detail["trials"]] == [
        f"**user_error**\n\n````\n  File x\n{NASTY}\n````\n",
        "mine",
    ]


# ---- over HTTP ----

CHANGES = [
    ("POST", "/api/studies", {"study_name": "new", "directions": ["minimize"]}),
    ("POST", "/api/studies/1/rename", {"study_name": "renamed"}),
    ("DELETE", "/api/studies/1", {}),
    ("PUT", "/api/studies/1/note", {"version": 2, "body": "changed"}),
    ("PUT", "/api/studies/1/1/note", {"version": 1, "body": "changed"}),
    ("POST", "/api/trials/1/tell", {"state": "Fail"}),
    ("POST", "/api/trials/1/user-attrs", {"user_attrs": {"mine": 1}}),
    ("PUT", "/api/studies/1/preference_feedback_component", {"output_type": "note"}),
]


def test_read_only_refuses_every_change_and_goes_on(studies):
    app, before = create_app(database_url(studies), write=False), dump(studies)
    for method, path, body in CHANGES:
        status, answer = request(app, method, path, body)
        assert (status, "--write" in answer["reason"]) == (403, True)
    assert dump(studies) == before
    assert request(app, "GET", "/api/studies")[1]["study_summaries"][0]["study_name"] == "study"


def test_the_database_itself_refuses_changes_too(studies):
    app, before = optuna_dashboard.wsgi(LiveStorage(database_url(studies))), dump(studies)
    for method, path, body in CHANGES:
        assert request(app, method, path, body)[0] >= 400
    assert dump(studies) == before
    status, detail = request(app, "GET", "/api/studies/1")
    assert (status, len(detail["trials"])) == (200, 8)


def test_write_lets_change_under_local_names_alone(tmp_path):
    sweep_with_a_failure(tmp_path, 3)
    waiting = optuna.load_study(study_name="study", storage=f"sqlite:///{tmp_path / 'sweep.db'}").ask()
    app = create_app(database_url(tmp_path), write=True)
    tell = ("POST", f"/api/trials/{waiting._trial_id}/tell", {"state": "Complete", "values": [0.5]})
    assert request(app, *tell, host="evil.example:8080")[0] == 403
    assert request(app, *tell, host="localhost:8080")[0] == 204
    assert request(app, "PUT", "/api/studies/1/note", {"version": 2, "body": "changed"})[0] == 204
    assert request(app, "POST", *CHANGES[0][1:])[0] == 201
    assert read_trials(tmp_path)[3]["values"] == [0.5]
    assert request(app, "DELETE", "/api/studies/2", {})[0] == 204
    assert optuna.get_all_study_names(f"sqlite:///{tmp_path / 'sweep.db'}") == ["study"]


def running_trial(folder):
    """A trial of ours, and its row, as it runs: the dashboard may tell it."""
    study = open_in(folder, make_space())
    with study.write_behind.transaction():
        study.ask_next().set_user_attr("seed", 1)
    return study


# as optuna-dashboard's own tests tell (python_tests/test_api.py), and beyond
TAKEN = [{"state": "Complete", "values": [0.5]}, {"state": "Fail", "values": [1.0]}]
REFUSED = [
    *({"state": "Complete", "values": values} for values in ([0, 1, 2], [], ["nan"], ["x"], [None], 0.5, "0.5 ", {})),
    *({"state": state, "values": [0.5]} for state in ("Pruned", "Running", "Waiting", 3, None, [])),
    *({"state": "Complete"}, {"values": [0.5]}, {}, [], None),
]


@pytest.mark.slow
@pytest.mark.parametrize("told", TAKEN)
def test_a_tell_is_taken_once_or_refused_and_the_sweep_goes_on(tmp_path, told):
    study = running_trial(tmp_path)
    url = database_url(tmp_path)
    app = create_app(url, write=True)
    for refused in REFUSED:
        assert (refused, request(app, "POST", "/api/trials/1/tell", refused)[0]) == (refused, 400)
    assert read_study(url, "study").trials[0].state == TrialState.RUNNING
    assert request(app, "POST", "/api/trials/1/tell", told)[0] == 204
    assert request(app, "POST", "/api/trials/1/tell", told)[0] == 409
    with study.write_behind.transaction() as changes:
        assert [change.number for change in changes] == [0]
    study.write_behind.close()
    read_study(url, "study")
    assert run_sweep(tmp_path, make_space(), 3).write_behind.num_trials == 3
    assert request(app, "GET", "/api/studies/1")[0] == 200


def test_what_is_not_there_or_not_to_be_changed_has_its_status_code(tmp_path):
    study = running_trial(tmp_path)
    app = create_app(database_url(tmp_path), write=True)
    answers = {
        ("POST", "/api/trials/99/tell", json.dumps({"state": "Fail"})): 404,
        ("POST", "/api/trials/99/user-attrs", json.dumps({"user_attrs": {"mine": 1}})): 404,
        ("POST", "/api/trials/1/user-attrs", json.dumps({"user_attrs": {"mine": 1}})): 204,
        ("POST", "/api/trials/1/user-attrs", json.dumps({"user_attrs": {"seed": 1}})): 400,
        ("POST", "/api/trials/1/user-attrs", json.dumps({"user_attrs": {"error": "x"}})): 400,
        ("POST", "/api/trials/1/user-attrs", json.dumps({"user_attrs": {"code": "x.py"}})): 400,
        ("POST", "/api/studies/99/rename", json.dumps({"study_name": "new"})): 404,
        ("POST", "/api/studies/1/rename", json.dumps({"study_name": "study"})): 400,
        ("POST", "/api/studies/1/rename", json.dumps({"study_name": ""})): 400,
        ("POST", "/api/studies/1/rename", json.dumps({"study_name": 7})): 400,
        ("POST", "/api/studies/1/rename", json.dumps({"study_name": "a\nb"})): 400,
        ("POST", "/api/studies/1/rename", json.dumps({"study_name": "x" * 600})): 400,
        ("DELETE", "/api/studies/99", json.dumps({})): 404,
        ("POST", "/api/studies", json.dumps({"study_name": "new", "directions": ["up"]})): 400,
        ("POST", "/api/studies", json.dumps({"study_name": ["new"], "directions": ["minimize"]})): 400,
    }
    told = {asked: request(app, *asked[:2], json.loads(asked[2]))[0] for asked in answers}
    assert told == answers
    assert optuna.get_all_study_names(database_url(tmp_path)) == ["study"]
    with study.write_behind.transaction():
        study.tell_number(0, TrialState.COMPLETE, 0.5)
    finished = ("POST", "/api/trials/1/user-attrs", {"user_attrs": {"mine": 2}})
    assert request(app, *finished)[0] == 409
    assert read_study(database_url(tmp_path), "study").trials[0].user_attrs["mine"] == 1


@pytest.mark.slow
def test_what_was_enqueued_renamed_and_deleted_leaves_the_other_study_as_it_was(tmp_path, capsys):
    """A name of the dashboard's is one that every command reads, and its folders stay in the studies' folder."""
    sweep_with_a_failure(tmp_path, 4)
    url, name = database_url(tmp_path), "../Versuch 2: größer"
    optuna.load_study(study_name="study", storage=url).enqueue_trial({"momentum": 0.5})
    app = create_app(url, write=True)
    assert request(app, "POST", "/api/studies/1/rename", {"study_name": name})[0] == 201
    at = ["--studies", str(tmp_path / "in"), "--storage", f"sqlite:///{tmp_path / 'sweep.db'}"]
    for command in (["show", name], ["show", name, "1"], ["export", name], ["report", name], ["list"]):
        assert main([*command, *at]) == 0, capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(("sweep.db", "."))} == {"in"}
    assert {path.suffix for path in (tmp_path / "in").rglob("*") if path.is_file()} == {".toml", ".html"}
    copy = ["copy", name, "--from", at[-1], "--to", f"sqlite:///{tmp_path / 'copy.db'}"]
    assert main(copy) == 0, capsys.readouterr().err
    space = make_space()
    study = open_study(url, name, space, make_settings(space), stored_settings(url, name))
    Tuner(study, space, InProcessExecutor(FakeEngine()), Limits(6), QuietProgress(), seed=0).run()
    assert len(read_study(url, name).trials) == 6
    with pytest.raises(StudyError, match="study name"):
        stored_settings(url, "a new: one")
    assert request(app, "DELETE", "/api/studies/2")[0] == 204
    assert optuna.get_all_study_names(url) == []


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    "host", ["evil.example:8080", "evil.example", "localhost.evil.example", "[::1", "", "10.0.0.1"]
)
def test_a_foreign_name_that_was_pointed_here_reads_nothing(studies, host, write):
    app = create_app(database_url(studies), write=write)
    status, answer = request(app, "GET", "/api/studies", host=host)
    assert (status, list(answer)) == (403, ["reason"])
    assert all(request(app, "GET", "/api/studies", host=ours)[0] == 200 for ours in ("localhost", "[::1]:80"))


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:9999", "null", "http://[", ""])
def test_a_page_of_others_changes_nothing(studies, origin):
    app, before = create_app(database_url(studies), write=True), dump(studies)
    for method, path, body in CHANGES:
        assert request(app, method, path, body, origin=origin)[0] == 403
    assert dump(studies) == before
    assert request(app, "GET", "/api/studies", origin=origin)[0] == 200


def test_our_own_pages_change_what_they_are_let(tmp_path):
    run_sweep(tmp_path, make_space(), 2)
    app = create_app(database_url(tmp_path), write=True)
    note = ("PUT", "/api/studies/1/note", {"version": 2, "body": "changed"})
    assert request(app, *note, origin="http://127.0.0.1:8080")[0] == 204


@pytest.mark.parametrize(
    ("host", "status"),
    [("gpu1.lab.example:8080", 200), ("192.168.1.7:8080", 200), ("[fe80::1]:8080", 200), ("evil.example:8080", 403)],
)
def test_a_public_dashboard_goes_by_its_addresses_and_its_own_name(studies, host, status):
    public, local = (create_app(database_url(studies), write=True, public=value) for value in (True, False))
    assert request(public, "GET", "/api/studies", host=host)[0] == status
    assert request(local, "GET", "/api/studies", host=host)[0] == 403
    change = ("POST", "/api/studies/99/rename", {"study_name": "renamed"})
    assert (request(public, *change, host=host, origin=f"http://{host}")[0] == 403) == (status == 403)
    assert request(public, *change, host=host, origin="http://evil.example")[0] == 403


@pytest.mark.slow
def test_a_study_deleted_and_made_anew_is_read_anew(tmp_path):
    run_sweep(tmp_path, make_space(), 5)
    app = create_app(database_url(tmp_path), write=False)
    assert len(request(app, "GET", "/api/studies/1")[1]["trials"]) == 5
    optuna.delete_study(study_name="study", storage=f"sqlite:///{tmp_path / 'sweep.db'}")
    run_sweep(tmp_path, make_space("grid"), 2)
    time.sleep(2.1)  # optuna-dashboard asks its storage at most every two seconds
    detail = request(app, "GET", "/api/studies/1")[1]
    assert [len(trial["params"]) for trial in detail["trials"]] == [2, 2]
    assert {item["name"] for item in detail["union_search_space"]} == {"momentum", "filters_1"}


def shown_numbers(app, after=0):
    detail = request(app, "GET", f"/api/studies/1?after={after}")[1]
    return [trial["number"] for trial in detail["trials"]]


@pytest.mark.slow
def test_of_a_large_study_the_best_and_the_latest_are_served_and_those_that_follow(tmp_path):
    study = run_sweep(tmp_path, make_space("random", "median"), 40)
    best = sorted(study.frozen_trials(TrialState.COMPLETE), key=lambda trial: -trial.value)[:5]
    app = create_app(database_url(tmp_path), View(max_trials=5), write=False)
    served = sorted({trial.number for trial in best} | {*range(35, 40)})
    assert shown_numbers(app) == served
    run_sweep(tmp_path, make_space("random", "median"), 46)
    time.sleep(2.1)  # optuna-dashboard asks its storage at most every two seconds
    assert shown_numbers(app, after=len(served)) == [*range(40, 46)]
    assert shown_numbers(app) == [*served, *range(40, 46)]


def test_one_study_may_be_served_alone(tmp_path):
    run_sweep(tmp_path, make_space(), 2)
    optuna.create_study(study_name="other", storage=f"sqlite:///{tmp_path / 'sweep.db'}")
    app = create_app(database_url(tmp_path), View(study="other"), write=False)
    listed = request(app, "GET", "/api/studies")[1]["study_summaries"]
    assert [study["study_name"] for study in listed] == ["other"]


def test_a_study_that_is_not_there_and_copies_of_a_part_are_refused(studies, capsys):
    assert main(["dashboard", "nowhere", "--studies", str(studies)]) == 2
    assert "no study named nowhere; there are: study" in capsys.readouterr().err
    assert main(["dashboard", "--best", "5", "--write", "--studies", str(studies)]) == 2
    assert "remove --write" in capsys.readouterr().err


# ---- as a process ----


@contextmanager
def dashboard(folder, *arguments):
    """The command on a free port; yields process, address and what it said."""
    command = [
        sys.executable,
        "-m",
        "sweep.cli",
        "dashboard",
        "--studies",
        str(folder),
        "--port",
        "0",
        *arguments,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            first, *others = itertools.takewhile(lambda line: "Ctrl-C" not in line, iter(process.stdout.readline, ""))
            yield process, first.strip().rsplit(" ", 1)[-1], "".join(others)
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_quietly(studies, number):
    with dashboard(studies) as (process, address, said):
        with urllib.request.urlopen(f"{address}api/studies") as answer:
            assert json.load(answer)["study_summaries"][0]["study_name"] == "study"
        process.send_signal(number)
        out, error = process.communicate()
    assert (process.returncode, out, error) == (0, "", "")
    assert said.startswith("read-only: ")


def test_half_a_request_and_a_wrong_length_do_not_hold_the_server(studies, monkeypatch):
    monkeypatch.setattr("sweep.cli.dashboard_server._QuietHandler.timeout", 1)
    with _listen("127.0.0.1", 0, create_app(database_url(studies), write=True)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        head = "POST /api/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        for rest in ("", "Content-Length: 40\r\n\r\n{"):
            with socket.create_connection(server.server_address, timeout=60) as half:
                half.sendall(f"{head}{rest}".encode())
                assert b"200 OK" not in half.recv(2**16)
        for length in ("x", "-1", "1e3", "99999999999"):
            with socket.create_connection(server.server_address, timeout=60) as wrong:
                wrong.sendall(f"{head}Content-Length: {length}\r\n\r\n{{}}".encode())
                wrong.shutdown(socket.SHUT_WR)
                assert wrong.recv(2**16).startswith(b"HTTP/1.0 400 ")
        server.shutdown()


def listening_addresses(port):
    """The local addresses that the kernel has this port listen on, as hexadecimal digits."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return {
        address
        for address, _, in_use in ((*row[1].split(":"), row[1]) for row in rows if row[3] == "0A")
        if in_use.endswith(f":{port:04X}")
    }


@pytest.mark.slow
def test_public_listens_everywhere_and_says_what_that_exposes(studies):
    with dashboard(studies, "--public") as (_, address, said):
        assert listening_addresses(int(address.rstrip("/").rsplit(":", 1)[1])) == {"00000000"}
    for part in ("whoever can reach", "command lines", "password", "encryption", "ssh -L"):
        assert part in said
    assert "change and delete" not in said
    with dashboard(studies, "--public", "--write") as (_, _, said):
        assert "change and delete" in said
    with dashboard(studies) as (_, address, said):
        assert listening_addresses(int(address.rstrip("/").rsplit(":", 1)[1])) == {"0100007F"}
        assert "--public" not in said


def test_taken_port_and_missing_studies_are_one_line(studies, tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["dashboard", "--studies", str(studies), "--port", str(port)]) == 2
    error = capsys.readouterr().err
    assert (f"--port {port}" in error, "--port 0" in error, error.count("\n")) == (True, True, 1)
    assert main(["dashboard", "--studies", str(tmp_path)]) == 2
    assert "no studies yet" in capsys.readouterr().err


# ---- in a browser ----


@pytest.fixture(scope="module")
def live_address(studies):
    """A dashboard on a finished study with a failure (id 1) and on one that runs (id 2)."""
    space = studies / "space.toml"
    momentum = '[space.momentum]\nkey = "optimizer.momentum"\ntype = "float"\nlow = 0.0\nhigh = 0.9\n'
    space.write_text(f'[study]\nname = "running"\n[training]\nepochs = 900\n{momentum}')
    command = [
        sys.executable,
        "-m",
        "sweep.cli",
        "run",
        str(space),
        "--studies",
        str(studies),
        "--engine",
        "fake",
    ]
    environment = {**os.environ, "SWEEP_FAKE_EPOCH_S": "0.3"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        with dashboard(studies) as (_, address, _):
            yield address
        process.kill()


def wait_for_text(browser, *parts, seconds=30):
    """The page's text, when it has all parts."""
    from selenium.webdriver.common.by import By

    text, end = "", time.monotonic() + seconds
    while time.monotonic() < end:
        text = browser.find_element(By.TAG_NAME, "body").text
        if all(part in text for part in parts):
            return text
        time.sleep(0.1)
    raise AssertionError(f"not all of {parts} came: {text}")


def test_browser_lists_the_studies(browser, live_address):
    browser.get(live_address)
    wait_for_text(browser, "1. study", "2. running", "Direction: MAXIMIZE")


def test_browser_shows_history_learning_curves_and_note(browser, live_address):
    browser.get(f"{live_address}dashboard/studies/1")
    wait_for_text(browser, "History", "Best Trial", "Learning curves of the best trials", "Intermediate values")
    browser.get(f"{live_address}dashboard/studies/1/note")
    wait_for_text(browser, "Made by", "regularizer.l2")


def test_browser_shows_a_failed_trial_with_its_cause(browser, live_address):
    browser.get(f"{live_address}dashboard/studies/1/trials?numbers=2")
    text = wait_for_text(browser, "Trial 2 (trial_id=3)", "cause build_error", "in admit")
    assert text.count(f"ValueError: {NASTY}") >= 2
    assert browser.execute_script("return document.querySelectorAll('img[src=x]').length") == 0


def test_browser_shows_values_grow_while_a_sweep_runs(browser, live_address):
    def num_values(text):
        return text.partition("Intermediate Values")[2].partition("Parameter")[0].count("\n")

    browser.get(f"{live_address}dashboard/studies/2/trials?numbers=0")
    before = wait_for_text(browser, "Trial 0", "Running", "Parameter")
    end = time.monotonic() + 40
    while num_values(wait_for_text(browser, "Trial 0")) <= num_values(before):
        assert time.monotonic() < end, before
        time.sleep(0.2)
