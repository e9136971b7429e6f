"""`sweep run --ray`: the study of one process, no secret in an actor, no process left behind however it ends."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest
from sweeps import read_trials

from sweep.cli.parser import build_parser, main
from sweep.cli.run import options
from sweep.errors import InputError
from sweep.executors.auto import check_worker_options

SPACE = Path(__file__).parents[3] / "search_spaces" / "cnn_digits.toml"
RUN = ["run", str(SPACE), "--engine", "fake", "--trials", "12", "--study", "study"]
ON_RAY = ["--ray", "--num-workers", "2", "--lanes", "2"]


class RaySweep:
    """A `sweep run --ray` in a process of its own; all its processes are found by a mark in their environment."""

    def __init__(self, folder, epoch_s, **environment):
        self.mark = uuid.uuid4().hex
        given = {"SWEEP_TEST_MARK": self.mark, "SWEEP_FAKE_EPOCH_S": str(epoch_s), "SWEEP_STUDIES": str(folder)}
        command = [sys.executable, "-m", "sweep.cli", *RUN, *ON_RAY]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **given, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_for_a_trial(self):
        """Its output so far."""
        lines = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            lines.append(line)
            if line.startswith("trial"):
                break
        return lines

    def others(self):
        """Processes beside the launcher, and what each has in its environment and command line."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                content = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if self.mark.encode() in content and int(folder.name) != self.process.pid:
                found[int(folder.name)] = content
        return found

    def processes_of(self, program):
        """Those of the others that run this program."""
        return [pid for pid in self.others() if _program(pid) == program]

    def ends_alone(self, within_s=90):
        """Whether all its processes end; agents of Ray that were starting take a minute to see that it is gone."""
        deadline = time.monotonic() + within_s
        while self.others() and time.monotonic() < deadline:
            time.sleep(0.1)
        return not self.others()


def _program(pid):
    return Path((Path("/proc") / str(pid) / "cmdline").read_text().split("\0")[0]).name


@pytest.mark.ray
def test_sweep_on_ray_trains_the_trials_of_one_process_also_after_kill_and_signal(tmp_path, capsys):
    assert main([*RUN, "--lanes", "4", "--studies", str(tmp_path / "alone")]) == 0
    killed = RaySweep(tmp_path / "ray", 0.1)
    with killed.process:
        killed.wait_for_a_trial()
        killed.process.kill()
    assert killed.ends_alone()
    told = RaySweep(tmp_path / "ray", 0.1)
    with told.process:
        told.wait_for_a_trial()
        told.process.terminate()
        assert "sweep: interrupted" in told.process.stdout.read()
    assert told.process.returncode == 143
    assert told.ends_alone()
    last = RaySweep(tmp_path / "ray", 0)
    output = last.process.communicate()[0]
    assert last.process.returncode == 0, output
    assert "2 workers, each with its own engine, an actor on a Ray of 1 node, with" in output
    assert "(raylet)" not in output
    assert last.ends_alone()
    assert read_trials(tmp_path / "ray") == read_trials(tmp_path / "alone")


@pytest.mark.ray
def test_lost_head_or_raylet_is_one_line_and_a_code_of_ours_and_the_study_resumes(tmp_path):
    """Ray would end the launcher itself, from C++, or print pages of a raylet's log."""
    assert main([*RUN, "--lanes", "4", "--studies", str(tmp_path / "alone")]) == 0
    for name in ("gcs_server", "raylet"):
        sweep = RaySweep(tmp_path / "ray", 0.4)
        with sweep.process:
            sweep.wait_for_a_trial()
            (victim,) = sweep.processes_of(name)
            os.kill(victim, signal.SIGKILL)
            output = sweep.process.stdout.read()
        assert sweep.process.returncode == 3, output
        (line,) = [line for line in output.splitlines() if not line.startswith("trial ")]
        assert line.startswith("sweep: Ray's ")
        assert "resume" in line
        assert sweep.ends_alone()
    last = RaySweep(tmp_path / "ray", 0)
    output = last.process.communicate()[0]
    assert last.process.returncode == 0, output
    assert last.ends_alone()
    assert read_trials(tmp_path / "ray") == read_trials(tmp_path / "alone")


@pytest.mark.ray
def test_no_process_and_no_file_of_ray_knows_the_database(tmp_path):
    database = tmp_path / "very-secret.db"
    with tempfile.TemporaryDirectory(prefix="ray") as session:  # short, for the names of its sockets
        secrets = {"SWEEP_STORAGE": f"sqlite:///{database}", "PGPASSWORD": "very-secret"}
        sweep = RaySweep(tmp_path, 0.1, RAY_TMPDIR=session, **secrets)
        with sweep.process:
            sweep.wait_for_a_trial()
            others = sweep.others()
            sweep.process.terminate()
        assert sweep.ends_alone()
        logs = {path: path.read_bytes() for path in Path(session).rglob("*") if path.is_file()}
    assert database.exists()
    assert len(others) >= 4  # two servers, two actors
    assert not [pid for pid, content in others.items() if b"very-secret" in content]
    assert len(logs) > 10
    assert not [path for path, content in logs.items() if b"very-secret" in content]


def check_ray(*arguments):
    asked = options(build_parser().parse_args(["run", "space.toml", *arguments]))
    check_worker_options(asked.workers, asked.device)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--ray", "nowhere"), "--ray nowhere: is not an address; use auto or host:port, or put --ray last"),
        (("--ray", "--gpus", "0,1"), "with --ray use --gpus-per-worker 1"),
        (("--ray", "--workers", "0"), "--workers 0: --ray needs at least one worker"),
        (("--cpus-per-worker", "2"), "--cpus-per-worker: needs a cluster; add --ray"),
        (("--gpus-per-worker", "0.5", "--workers", "2"), "--gpus-per-worker: needs a cluster; add --ray"),
    ],
)
def test_flags_that_contradict_are_refused_with_the_fix(arguments, message):
    with pytest.raises(InputError, match=message):
        check_ray(*arguments)


@pytest.mark.ray
def test_cluster_that_is_not_there_and_room_that_it_has_not_are_one_line_each(tmp_path):
    for flags, words in (
        (["--ray", "127.0.0.1:1"], "--ray 127.0.0.1:1: "),
        (["--ray", "--workers", "500"], "--ray: no room for 500 workers of 1 CPU each, the cluster has "),
    ):
        command = [sys.executable, "-m", "sweep.cli", *RUN, "--studies", str(tmp_path), *flags]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()
        assert line.startswith(f"sweep: {words}")


def test_missing_ray_is_said(monkeypatch):
    monkeypatch.setattr("sweep.executors.auto.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"--ray: Ray is not installed; pip install 'sweep\[ray\]'"):
        check_ray("--ray")
