"""How many workers there are, what each sees of the machine, and what a whole sweep on them gives."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sweeps import read_trials

from sweep.cli.parser import build_parser, main
from sweep.cli.run import options as run_options
from sweep.errors import DeviceError, InputError
from sweep.executors.auto import check_gpus, check_worker_options, choose_num_workers, gpu_environments, gpu_memory_gb
from sweep.options import RunOptions

SPACE = Path(__file__).parents[2] / "search_spaces" / "cnn_digits.toml"


def options(*arguments: str) -> RunOptions:
    return run_options(build_parser().parse_args(["run", "space.toml", *arguments]))


@pytest.mark.parametrize(
    ("arguments", "stored", "expected"),
    [
        ((), None, 0),
        ((), 3, 3),
        (("--workers", "0"), 3, 0),
        (("--workers", "2", "--retries", "0"), None, 2),
        (("--gpus", "0,1"), None, 2),
        (("--gpus", "2", "--slots-per-gpu", "3"), None, 3),
    ],
)
def test_number_of_workers_is_what_the_flags_say_else_what_the_study_began_with(arguments, stored, expected):
    assert choose_num_workers(options(*arguments).workers, stored) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--retries", "2"), "--retries: .* add --workers 1"),
        (("--slots-per-gpu", "2"), "--slots-per-gpu: needs --gpus"),
        (("--gpus", "0,1", "--workers", "3"), "--workers 3: --gpus creates 2"),
        (("--gpus", "0", "--device", "cpu"), "--gpus chooses the devices; remove --device"),
    ],
)
def test_flags_that_contradict_are_refused_with_the_fix(arguments, message):
    with pytest.raises(InputError, match=message):
        checked(options(*arguments))


def checked(asked: RunOptions) -> int:
    check_worker_options(asked.workers, asked.device)
    return choose_num_workers(asked.workers, None)


def test_workers_of_a_gpu_see_it_alone_and_share_its_memory():
    environments = gpu_environments(options("--gpus", "0,3", "--slots-per-gpu", "2").workers)
    assert [one["CUDA_VISIBLE_DEVICES"] for one in environments] == ["0", "3", "0", "3"]
    assert {one["XLA_PYTHON_CLIENT_MEM_FRACTION"] for one in environments} == {"0.450"}


def memory_of(*arguments: str) -> float | None:
    asked = options(*arguments)
    return gpu_memory_gb(asked.workers, asked.device)


def test_tensorflow_gets_its_share_of_the_smallest_gpu(tmp_path, monkeypatch):
    query = tmp_path / "nvidia-smi"
    query.write_text('#!/bin/sh\ncase "$*" in *--id=0*) echo 81920;; *) echo 40960;; esac\n')
    query.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert memory_of("--gpus", "0,1", "--slots-per-gpu", "2") == pytest.approx(0.45 * 40)
    assert memory_of("--gpus", "0,1") is None
    assert memory_of("--gpus", "0", "--slots-per-gpu", "2", "--gpu-memory-gb", "7") == 7
    query.write_text("#!/bin/sh\nexit 9\n")
    with pytest.raises(DeviceError, match="--gpu-memory-gb gives each worker its share"):
        memory_of("--gpus", "0", "--slots-per-gpu", "2")


def test_a_gpu_that_is_not_there_is_said_with_those_that_are(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sweep.executors.auto.NVIDIA_DRIVER", tmp_path / "no-driver")
    monkeypatch.setenv("PATH", str(tmp_path))
    command = ["run", str(SPACE), "--engine", "fake", "--studies", str(tmp_path), "--gpus", "0,1"]
    assert main(command) == 2
    said = capsys.readouterr().err
    for fact in ("--gpus 0,1", "no NVIDIA GPU", "--workers"):
        assert fact in said
    query = tmp_path / "nvidia-smi"
    query.write_text("#!/bin/sh\necho 0; echo 2\n")
    query.chmod(0o755)
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "no GPU 1" in said
    assert "0, 2" in said
    check_gpus(["0", "2"])


@pytest.mark.slow
def test_sweep_on_workers_trains_the_trials_of_one_process_and_remembers_them(tmp_path, capsys):
    command = ["run", str(SPACE), "--engine", "fake", "--trials", "12", "--study", "study"]
    assert main([*command, "--lanes", "4", "--studies", str(tmp_path / "alone")]) == 0
    on_workers = [*command, "--studies", str(tmp_path / "workers")]
    assert main([*on_workers, "--lanes", "2", "--workers", "2"]) == 0
    assert "2 workers, each with its own engine" in capsys.readouterr().out
    assert read_trials(tmp_path / "workers") == read_trials(tmp_path / "alone")
    assert main([*on_workers, "--trials", "14"]) == 0
    assert "2 workers" in capsys.readouterr().out
    assert main([*on_workers, "--trials", "14", "--workers", "0"]) == 2
    assert "num_workers was 2, now 0" in capsys.readouterr().err


@pytest.mark.slow
def test_interrupted_sweep_on_workers_drains_and_leaves_no_process(tmp_path):
    command = [sys.executable, "-m", "sweep.cli", "run", str(SPACE), "--engine", "fake", "--workers", "2"]
    environment = {**os.environ, "SWEEP_FAKE_EPOCH_S": "0.2"}
    process = subprocess.Popen(
        [*command, "--studies", str(tmp_path)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process:
        for line in process.stdout:
            if line.startswith("trial"):
                workers = _children(process.pid)
                process.terminate()
                break
        process.stdout.read()
    assert process.returncode == 143
    assert len(workers) == 2
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def _children(pid: int) -> list[int]:
    stats = {int(path.parent.name): path.read_text() for path in Path("/proc").glob("[0-9]*/stat") if path.exists()}
    return [child for child, stat in stats.items() if int(stat.rpartition(")")[2].split()[1]) == pid]
