"""The commands as a user runs them: exit codes, one-line errors, output for people and programs."""

import csv
import io
import json
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress

import optuna
import pytest
from sweeps import read_trials

from sweep.cli.parser import main

SPACE = """
[study]
name = "mine"
num_trials = 6

[pruner]
name = "median"

[training]
epochs = 4

[space.l2]
key = "regularizer.l2"
type = "float"
low = 1e-6
high = 1e-2
log = true

[space.momentum]
key = "optimizer.momentum"
type = "float"
low = 0.0
high = 0.9
"""


@pytest.fixture(autouse=True)
def builder_file(folder):
    (folder / "builder.toml").write_text('study = {name = "mine"}\nmodel = {builder = "nowhere:build"}\n')


@pytest.fixture
def hangup_heard():
    """Processes that a test starts hear SIGHUP, also where the tests themselves are run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def fail(capsys, *arguments, code=2):
    """Run a command that must fail; its one line on stderr."""
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert error.startswith("sweep: ")
    assert error.count("\n") == 1
    return error


def run(*arguments):
    return main(["run", "space.toml", "--engine", "fake", *arguments])


def start(*arguments, space="space.toml", **environment):
    """`sweep run` as a process of its own."""
    command = [sys.executable, "-m", "sweep.cli", "run", space, *arguments]
    return subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for_trials(folder, num_trials, process):
    """Until the study has so many trials."""
    while process.poll() is None:
        time.sleep(0.05)
        with suppress(KeyError):  # the study is not there yet
            if (folder / "studies" / "sweep.db").exists() and len(
                read_trials(folder / "studies", "mine")
            ) >= num_trials:
                return
    raise AssertionError(process.communicate())


@pytest.mark.slow
def test_run_makes_a_study_that_the_same_command_leaves_alone(folder, capsys):
    assert run() == 0
    assert "6/6" in capsys.readouterr().out
    trials = read_trials(folder / "studies", "mine")
    assert len(trials) == 6
    assert run() == 0
    assert "nothing to do" in capsys.readouterr().out
    assert read_trials(folder / "studies", "mine") == trials


@pytest.mark.slow
def test_studies_folder_comes_from_flag_or_environment(folder, monkeypatch):
    assert run("--studies", "elsewhere", "--quiet") == 0
    monkeypatch.setenv("SWEEP_STUDIES", "from-environment")
    assert run("--quiet") == 0
    assert run("--storage", "sqlite:///by-url.db", "--quiet") == 0
    assert (folder / "elsewhere" / "sweep.db").exists()
    assert (folder / "from-environment" / "sweep.db").exists()
    assert (folder / "by-url.db").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--set", "training.epochs=5"], "space.fixed.training.epochs was 4, now 5"),
        (["--seed", "1"], "seed was 0, now 1"),
        (["--sampler", "random"], "sampler.name was tpe, now random"),
        (["--pruner", "hyperband"], "pruner.name was median, now hyperband"),
    ],
)
def test_changed_settings_are_refused_and_shown(folder, capsys, arguments, shown):
    assert run("--trials", "2", "--quiet") == 0
    capsys.readouterr()
    before = read_trials(folder / "studies", "mine")
    assert shown in fail(capsys, "run", "space.toml", "--engine", "fake", *arguments)
    assert read_trials(folder / "studies", "mine") == before


def settings_of(folder):
    return optuna.load_study(study_name="mine", storage=f"sqlite:///{folder / 'studies' / 'sweep.db'}").user_attrs[
        "sweep"
    ]


@pytest.mark.slow
def test_lanes_are_stored_shown_and_reused_without_flags_and_with_auto(folder, capsys):
    assert run("--trials", "4", "--lanes", "3") == 0
    assert "engine: fake, 3 lanes (3 models at a time; engine and lanes as requested)" in capsys.readouterr().out
    for num_trials, flags in ((6, []), (8, ["--engine", "auto", "--lanes", "auto"]), (9, ["--lanes", "3"])):
        assert main(["run", "space.toml", "--trials", str(num_trials), *flags]) == 0
        assert "engine: fake, 3 lanes (3 models at a time; as stored" in capsys.readouterr().out
        assert len(read_trials(folder / "studies", "mine")) == num_trials
    settings = settings_of(folder)
    assert (settings["engine"], settings["num_lanes"]) == ("fake", 3)


@pytest.mark.parametrize("flags", [[], ["--lanes", "auto"]])
def test_fake_engine_has_one_lane_unless_asked(folder, flags):
    assert run("--quiet", *flags) == 0
    assert settings_of(folder)["num_lanes"] == 1


def test_other_lanes_than_stored_are_refused_until_something_was_tried(folder, capsys):
    assert run("--lanes", "4", "--timeout", "0.000001", "--quiet") == 3
    assert run("--lanes", "2", "--trials", "2", "--quiet") == 0
    capsys.readouterr()
    assert "num_lanes was 2, now 4" in fail(capsys, "run", "space.toml", "--lanes", "4")
    assert "num_lanes was 2, now 1" in fail(capsys, "run", "space.toml", "--lanes", "1", "--engine", "fake")


@pytest.mark.slow
def test_another_engine_than_stored_is_refused(folder):
    assert run("--trials", "1", "--quiet") == 0
    process = start("--engine", "sequential", "--trials", "2")
    _, error = process.communicate()
    assert process.returncode == 2
    assert "engine was fake, now sequential" in error


@pytest.mark.parametrize("lanes", ["0", "-1", "1.5", "many", ""])
def test_lanes_are_whole_numbers_or_auto(capsys, lanes):
    with pytest.raises(SystemExit) as ended:
        run(f"--lanes={lanes}")
    assert ended.value.code == 2
    assert f"argument --lanes: must be a positive integer or auto, got '{lanes}'" in capsys.readouterr().err


def test_changed_data_is_refused(folder, capsys):
    import numpy as np

    images, labels = np.random.default_rng(0).random((60, 8, 8)), np.arange(60) % 3
    np.savez(folder / "mine.npz", x=images, y=labels)
    data = ["--set", "data.name=npz", "--set", "data.path=mine.npz", "--quiet"]
    assert run("--trials", "1", *data) == 0
    np.savez(folder / "mine.npz", x=images + 1, y=labels)
    from sweep.data import load

    load.cache_clear()
    capsys.readouterr()
    assert "data_hash was" in fail(capsys, "run", "space.toml", "--engine", "fake", "--trials", "2", *data)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["run", "missing.toml"], "missing.toml: no such file"),
        (["run", "space.toml", "--study", "../up"], "study name"),
        (["run", "space.toml", "--set", "training.epoch=5"], "training.epochs"),
        (["run", "space.toml", "--sampler", "magic"], 'sampler.name: "magic" is unknown; use random'),
        (
            ["run", "space.toml", "--sampler", "grid"],
            "a grid sampler needs finitely many values of each parameter",
        ),
        (["run", "space.toml", "--pruner", "magic"], 'pruner.name: "magic" is unknown'),
        (
            ["run", "space.toml", "--engine", "sequential", "--lanes", "4"],
            "--lanes 4: the sequential engine has a single lane; remove it, or use --engine packed",
        ),
        (["run", "space.toml", "--device", "tpu"], "--device tpu: use auto, cpu or gpu:N"),
        (["run", "space.toml", "--set", "data.num_train=5000"], "data.num_train = 5000 does not fit"),
        (["run", "space.toml", "--set", "model.builder=mine:build"], "regularizer has no effect with a builder"),
        (["list"], "no studies yet"),
        (["show", "mine"], "no studies yet"),
    ],
)
def test_wrong_input_is_one_line_with_the_fix_and_makes_no_study(folder, capsys, arguments, shown):
    assert shown in fail(capsys, *arguments)
    if (folder / "studies" / "sweep.db").exists():
        assert optuna.get_all_study_names(f"sqlite:///{folder / 'studies' / 'sweep.db'}") == []


@pytest.mark.slow
def test_missing_builder_is_one_line(folder):
    process = start(space="builder.toml")
    _, error = process.communicate()
    assert process.returncode == 2
    assert error.startswith("sweep: ")
    assert "nowhere:build" in error
    assert error.count("\n") == 1


def test_study_of_plain_optuna_is_left_alone(folder, capsys):
    (folder / "studies").mkdir()
    optuna.create_study(study_name="mine", storage="sqlite:///studies/sweep.db")
    assert "was not made by `sweep run`" in fail(capsys, "run", "space.toml", "--engine", "fake")
    assert read_trials(folder / "studies", "mine") == []


def test_no_usable_trial_is_exit_code_3(capsys):
    for _ in range(2):
        assert run("--set", "schedule.initial_learning_rate=2", "--trials", "4", "--quiet") == 3
        assert "no trial is COMPLETE: 4 FAIL" in capsys.readouterr().err
    assert main(["show", "mine"]) == 0
    assert "FAIL (nan): the loss is not finite after epoch 1" in capsys.readouterr().out


def test_results_are_in_the_one_file_when_a_run_has_ended(folder):
    run("--quiet")
    (folder / "copy").mkdir()
    (folder / "copy" / "sweep.db").write_bytes((folder / "studies" / "sweep.db").read_bytes())
    assert len(read_trials(folder / "copy", "mine")) == 6


def test_study_may_have_any_name_that_is_a_name(folder):
    for name in ("schema", "sweep.db", "creating"):
        assert run("--study", name, "--trials", "1", "--quiet") == 0


def test_options_that_optuna_fails_with_later_are_refused_before_a_study_is_made(folder, capsys):
    pruner = 'name = "hyperband"\nreduction_factor = 1'
    (folder / "space.toml").write_text(SPACE.replace('name = "median"', pruner))
    assert "fails with these options: ZeroDivisionError" in fail(capsys, "run", "space.toml", "--engine", "fake")
    assert run("--pruner", "median", "--quiet") == 0


def test_settings_may_change_while_nothing_was_tried(folder):
    assert run("--timeout", "0.000001", "--quiet") == 3
    assert read_trials(folder / "studies", "mine") == []
    assert run("--seed", "3", "--quiet") == 0


def test_reordered_parameters_are_another_space(folder, capsys):
    assert run("--trials", "2", "--quiet") == 0
    head, l2, momentum = SPACE.partition("[space.l2]")[0], *SPACE.partition("[space.l2]")[2].split("[space.momentum]")
    (folder / "space.toml").write_text(f"{head}[space.momentum]{momentum}[space.l2]{l2}")
    capsys.readouterr()
    assert "space.order was" in fail(capsys, "run", "space.toml", "--engine", "fake")


@pytest.mark.parametrize("studies", ["space.toml", "/proc/nowhere", "a?b", "a#b", "a%41b"])
def test_folders_that_cannot_hold_studies_are_one_line(capsys, studies):
    assert studies in fail(capsys, "run", "space.toml", "--engine", "fake", "--studies", studies)


def test_list_and_show_for_programs(capsys):
    run("--quiet")
    capsys.readouterr()
    main(["list", "--json"])
    (study,) = json.loads(capsys.readouterr().out)
    assert (study["study"], sum(study["num_trials"].values())) == ("mine", 6)
    main(["show", "mine", "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert [trial["number"] for trial in shown["trials"]] == list(range(6))
    assert len(shown["trials"][0]["user_attrs"]["history"]) == 4
    main(["show", "mine", "--csv"])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [float(row["value"]) for row in rows] == [trial["value"] for trial in shown["trials"]]
    assert set(rows[0]) >= {"number", "state", "value", "epochs", "cause", "params_l2", "params_momentum"}


def test_show_and_list_for_people(capsys):
    run("--quiet")
    capsys.readouterr()
    main(["list"])
    assert "mine" in capsys.readouterr().out
    main(["show", "mine"])
    shown = capsys.readouterr().out
    best = optuna.load_study(study_name="mine", storage="sqlite:///studies/sweep.db").best_trial
    first_row = shown.splitlines()[2].split()
    assert first_row[:2] == [str(best.number), "COMPLETE"]
    assert main(["show", "other"]) == 2
    assert "there are: mine" in capsys.readouterr().err


def test_init_copies_the_shipped_spaces_and_overwrites_nothing(folder, capsys):
    assert main(["init", "my-sweeps"]) == 0
    (folder / "my-sweeps" / "cnn_digits.toml").write_text("mine now")
    assert "exists" in fail(capsys, "init", "my-sweeps")
    assert (folder / "my-sweeps" / "cnn_digits.toml").read_text() == "mine now"


def test_check_shows_what_a_space_makes(folder, capsys):
    main(["init", "shipped"])
    assert main(["check", "shipped/cnn_digits.toml", "--samples", "2"]) == 0
    shown = capsys.readouterr().out
    for part in (
        "maximize val_accuracy",
        "filters_1",
        "regularizer.l2",
        "1149 train",
        "288 validation",
        "sample 1:",
        "weights",
    ):
        assert part in shown


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_run_says_so_and_the_same_command_goes_on(folder, hangup_heard, number):
    process = start("--engine", "fake", SWEEP_FAKE_EPOCH_S="0.3")
    wait_for_trials(folder, 2, process)
    process.send_signal(number)
    _, error = process.communicate()
    assert process.returncode == 128 + number
    assert error.startswith("sweep: interrupted")
    assert error.count("\n") == 1
    assert run("--quiet") == 0
    assert run("--quiet", "--studies", "unbroken") == 0
    assert read_trials(folder / "studies", "mine") == read_trials(folder / "unbroken", "mine")


@pytest.mark.slow
def test_interrupted_run_ends_while_another_program_has_the_database_locked(folder):
    process = start("--engine", "fake", SWEEP_FAKE_EPOCH_S="0.3")
    wait_for_trials(folder, 2, process)
    with closing(sqlite3.connect(folder / "studies" / "sweep.db", 30, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        process.terminate()
        _, error = process.communicate(timeout=60)
    assert (process.returncode, error.partition(";")[0]) == (143, "sweep: interrupted")
    assert run("--quiet") == 0
    assert "FAIL" not in [trial["state"] for trial in read_trials(folder / "studies", "mine")]


@pytest.mark.slow
def test_run_under_nohup_goes_on_when_the_terminal_hangs_up(folder):
    environment = {**os.environ, "SWEEP_FAKE_EPOCH_S": "0.3"}
    command = ["nohup", sys.executable, "-m", "sweep.cli", "run", "space.toml", "--engine", "fake"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_trials(folder, 1, process)
    process.send_signal(signal.SIGHUP)
    assert process.wait() == 0
    assert len(read_trials(folder / "studies", "mine")) == 6


@pytest.mark.slow
def test_run_whose_terminal_is_closed_is_drained(folder, hangup_heard):
    master, terminal = pty.openpty()
    take = (
        "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])"
    )
    arguments = [sys.executable, "-m", "sweep.cli", "run", "space.toml", "--engine", "fake"]
    environment = {**os.environ, "SWEEP_FAKE_EPOCH_S": "0.3"}
    process = subprocess.Popen(
        [sys.executable, "-c", take, *arguments],
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    threading.Thread(target=read_until_closed, args=(master,), daemon=True).start()
    wait_for_trials(folder, 2, process)
    os.close(master)
    assert process.wait() == 129
    assert "FAIL" not in [trial["state"] for trial in read_trials(folder / "studies", "mine")]
    assert run("--quiet") == 0
    assert run("--quiet", "--studies", "unbroken") == 0
    assert read_trials(folder / "studies", "mine") == read_trials(folder / "unbroken", "mine")


def read_until_closed(terminal):
    """A terminal that nobody reads blocks its writer."""
    with suppress(OSError):
        while os.read(terminal, 4096):
            pass


@pytest.mark.slow
def test_output_that_goes_to_a_full_disk_is_one_line(folder):
    command = [sys.executable, "-m", "sweep.cli", "run", "space.toml", "--engine", "fake"]
    with open("/dev/full", "w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (result.returncode, result.stderr) == (
        2,
        "sweep: the disk is full; free some space, then run the same command to resume\n",
    )


@pytest.mark.slow
def test_second_run_of_a_study_is_refused_with_the_pid(folder, capsys):
    process = start("--engine", "fake", SWEEP_FAKE_EPOCH_S="0.3")
    with process:
        wait_for_trials(folder, 1, process)
        assert f"is being swept by process {process.pid}" in fail(capsys, "run", "space.toml", "--engine", "fake")
        assert run("--study", "other", "--quiet") == 0
        process.kill()


@pytest.mark.slow
def test_main_job_on_real_digits_interrupted_in_an_epoch(folder):
    """The sequential engine, killed by SIGTERM while it trains, equals the unbroken study bit for bit."""
    arguments = ["--trials", "2", "--set", "training.epochs=40", "--threads", "2", "--quiet", "--engine", "sequential"]
    process = start(*arguments)
    wait_for_trials(folder, 1, process)
    process.terminate()
    process.communicate()
    assert process.returncode == 143
    for studies in ("studies", "unbroken"):
        process = start(*arguments, "--studies", studies)
        out, error = process.communicate()
        assert process.returncode == 0, error
    assert "best: trial" in out
    assert read_trials(folder / "studies", "mine") == read_trials(folder / "unbroken", "mine")
