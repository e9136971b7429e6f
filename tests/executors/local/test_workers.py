"""Workers die; what they trained goes on in others, and a run is lost only if its own deaths are too many."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from executor_runs import curve, make_config, run_to_the_end
from failing_engines import MARKS

from sweep.engines.fake import fake_record
from sweep.errors import Cause, InputError, Interrupted, SweepStopped
from sweep.executors.base import EpochDone, LaneRetried
from sweep.executors.local import workers as local_workers
from sweep.executors.local.process import WorkerProcess
from sweep.executors.local.workers import LocalWorkers

ENGINE = "failing_engines:FailingEngine"


@pytest.fixture
def make_workers(tmp_path):
    """Makes workers whose engines fail as told; all are closed at the end."""
    made = []

    def make(num_workers=1, num_lanes=1, engine=ENGINE, **options):
        workers = LocalWorkers([{MARKS: str(tmp_path)}] * num_workers, **options)
        made.append(workers)
        workers.make(engine, num_lanes, 1)
        return workers

    yield make
    for workers in made:
        workers.close()


@pytest.mark.parametrize("num_rounds", [0, 1, 2])
def test_run_whose_worker_is_killed_goes_on_and_tells_each_epoch_once(make_workers, num_rounds):
    workers, config = make_workers(2), make_config()
    workers.start(0, config)
    workers.start(1, config)
    events = [event for _ in range(num_rounds) for event in workers.wait()]
    os.kill(workers.pids[1], signal.SIGKILL)
    events += [event for _ in range(3 - num_rounds) for event in workers.wait()]
    for lane in (0, 1):
        assert [event.metrics for event in events if isinstance(event, EpochDone) and event.lane == lane] == curve(
            config
        )
    retried = [event for event in events if isinstance(event, LaneRetried)]
    assert retried == [LaneRetried(1, 2, Cause.KILLED, "the worker was killed by SIGKILL")]


def test_of_many_lanes_the_one_that_kills_its_worker_is_found_and_lost_alone(make_workers):
    configs = [make_config(), make_config(16), make_config(epochs=4), make_config(), make_config(epochs=2)]
    told, lost, _ = run_to_the_end(make_workers(1, 5), configs)
    assert {lane: told[lane] for lane in (0, 2, 3, 4)} == {lane: curve(configs[lane]) for lane in (0, 2, 3, 4)}
    assert {lane: (event.cause, event.error) for lane, event in lost.items()} == {
        1: (Cause.KILLED, "the worker was killed by SIGKILL")
    }
    assert lost[1].context.attempt >= 2
    assert lost[1].context.peak_memory_mb > 1
    assert lost[1].context.host


def test_loss_that_is_not_finite_comes_with_attempt_and_log(make_workers):
    workers = make_workers(1)
    workers.start(0, make_config(23))
    events = [event for _ in range(2) for event in workers.wait()]
    diverged = next(event for event in events if isinstance(event, EpochDone) and event.metrics.not_finite())
    assert diverged.context.attempt == 2
    assert "about to diverge" in diverged.context.log_tail


def test_two_killers_beside_each_other_are_both_found(make_workers):
    configs = [make_config(16), make_config(), make_config(16), make_config()]
    told, lost, _ = run_to_the_end(make_workers(1, 4), configs)
    assert sorted(lost) == [0, 2]
    assert told[1] == told[3] == curve(make_config())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dense_units", "cause"),
    [(16, Cause.KILLED), (18, Cause.OUT_OF_MEMORY), (22, Cause.OUT_OF_MEMORY)],
)
@pytest.mark.parametrize("num_retries", [0, 1, 2])
def test_run_is_tried_as_often_as_said_and_then_lost_with_its_cause(make_workers, dense_units, cause, num_retries):
    told, lost, retried = run_to_the_end(make_workers(num_retries=num_retries), [make_config(dense_units)])
    assert lost[0].cause == cause
    assert lost[0].context.attempt == num_retries + 1
    assert [event.attempt for event in retried] == [*range(2, num_retries + 2)]
    assert told[0] == curve(make_config())[:1]


def test_what_the_worker_said_last_comes_with_its_death(make_workers):
    _, lost, _ = run_to_the_end(make_workers(), [make_config(22)])
    assert "std::bad_alloc" in lost[0].context.log_tail


def test_run_that_fails_by_itself_is_not_tried_again(make_workers):
    _, lost, retried = run_to_the_end(make_workers(2), [make_config(14), make_config(13)])
    assert [lost[lane].error for lane in (0, 1)] == ["ValueError: fourteen", "ValueError: thirteen"]
    assert "raise ValueError" in lost[0].traceback_tail
    assert retried == []


def test_run_that_hangs_once_is_tried_again_and_ends(make_workers):
    configs = [make_config(20, seed=3), make_config()]
    told, lost, retried = run_to_the_end(make_workers(2, trial_timeout_s=1.0), configs)
    assert lost == {}
    assert told == {0: curve(configs[0]), 1: curve(configs[1])}
    assert [(event.lane, event.attempt, event.cause) for event in retried] == [(0, 2, Cause.TIMEOUT)]


@pytest.mark.slow
def test_run_that_always_hangs_is_lost_and_its_neighbours_live(make_workers):
    configs = [make_config(), make_config(19), make_config(epochs=5)]
    told, lost, _ = run_to_the_end(make_workers(1, 3, trial_timeout_s=0.5), configs)
    assert {lane: event.cause for lane, event in lost.items()} == {1: Cause.TIMEOUT}
    assert told[0] == curve(configs[0])
    assert told[2] == curve(configs[2])


def test_slow_run_is_lost_when_its_epoch_ends_and_not_tried_again(make_workers, monkeypatch):
    monkeypatch.setenv("SWEEP_FAKE_EPOCH_S", "0.05")
    workers = make_workers(1, 1, "fake", trial_timeout_s=0.3)
    told, lost, retried = run_to_the_end(workers, [make_config(epochs=100)])
    assert lost[0].cause == Cause.TIMEOUT
    assert 2 <= len(told[0]) < 100
    assert retried == []


def test_late_answer_of_an_earlier_attempt_is_refused(make_workers):
    workers, config = make_workers(), make_config()
    workers.start(0, config)
    workers.wait()
    slot = workers._slots[0]
    late = {"lane": 0, "metrics": fake_record(config, 2).__dict__ | {"logs": {"accuracy": 0.0}}, "context": None}
    os.kill(workers.pids[0], signal.SIGKILL)
    receive = type(slot.worker).receive

    def receive_late(process):
        answer = receive(process)
        if answer is not None and "events" in answer and slot._runs[0].attempt == 2:
            answer["events"].insert(0, {"attempt": 1, "event": late})
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(slot.worker), "receive", receive_late)
        told = [event.metrics for event in workers.wait() if isinstance(event, EpochDone)]
    assert told == curve(config)[1:2]


def test_worker_knows_nothing_of_the_database(make_workers, monkeypatch):
    monkeypatch.setenv("SWEEP_STORAGE", "sqlite:////secret/sweep.db")
    monkeypatch.setenv("PGPASSWORD", "secret")
    (pid,) = make_workers(1, 1, "fake").pids
    time.sleep(0.2)
    for name in ("environ", "cmdline"):
        assert b"secret" not in Path(f"/proc/{pid}/{name}").read_bytes()


def test_workers_end_with_the_launcher_in_the_middle_of_an_epoch(tmp_path):
    code = """
import sys
from sweep.config.trial import TrialConfig
from sweep.executors.local.workers import LocalWorkers
workers = LocalWorkers([{"SWEEP_FAKE_EPOCH_S": "60"}] * 2)
workers.make("fake", 1, 1)
for lane in (0, 1):
    workers.start(lane, TrialConfig.from_values({}, "test"))
print(*workers.pids, flush=True)
workers.wait()
"""
    launcher = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    with launcher:
        pids = [int(pid) for pid in launcher.stdout.readline().split()]
        time.sleep(1)
        launcher.kill()
    deadline = time.monotonic() + 10
    while any(_is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_is_alive(pid) for pid in pids)


def _is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


def test_sequential_worker_is_replaced_between_runs_before_it_grows(make_workers, monkeypatch):
    monkeypatch.setattr(local_workers, "WorkerProcess", CountedProcess)
    CountedProcess.num_started = 0
    workers = make_workers()
    for slot in workers._slots:
        slot.make(**{**slot._make, "most_runs": 2})
    for number in range(5):
        workers.start(0, make_config(epochs=1, seed=number))
        (event,) = workers.wait()
        assert isinstance(event, EpochDone)
        workers.stop(0)
    assert CountedProcess.num_started == 3


class CountedProcess(WorkerProcess):
    """Counts how many were started."""

    num_started = 0

    def __init__(self, environment):
        super().__init__(environment)
        CountedProcess.num_started += 1


def test_workers_that_cannot_start_end_the_sweep_with_the_reason(make_workers):
    workers = make_workers(1, 1, "os:abort")
    workers.start(0, make_config())
    with pytest.raises(SweepStopped, match=r"no worker could be started(.|\n)*takes no arguments"):
        workers.wait()


def test_an_engine_that_is_not_there_is_said_by_the_worker(make_workers):
    workers = make_workers(1, 1, "nowhere:Engine")
    workers.start(0, make_config())
    with pytest.raises(InputError, match="--engine: nowhere:Engine"):
        workers.wait()


@pytest.mark.slow
def test_device_that_is_not_there_is_said_by_the_worker(make_workers):
    workers = LocalWorkers([{}])
    with workers, pytest.raises(InputError, match="--device gpu:7 does not exist"):
        workers.set_up("gpu:7", 1)


def test_interruption_ends_the_wait_and_the_workers(make_workers, monkeypatch):
    monkeypatch.setenv("SWEEP_FAKE_EPOCH_S", "60")
    arrived = []

    def pause():
        if arrived:
            raise Interrupted(signal.SIGTERM)

    workers = make_workers(2, 1, "fake", pause=pause)
    workers.start(0, make_config())
    arrived.append(signal.SIGTERM)
    pids = workers.pids
    with pytest.raises(Interrupted):
        workers.wait()
    workers.close()
    assert not any(_is_alive(pid) for pid in pids)
