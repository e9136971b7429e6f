"""One process that trains the lanes of one engine and prints what it took as JSON: the child of `lanes.py`, `gpu.py`.

    python benchmarks/lane_run.py '{"engine": "packed", "space": "benchmarks/spaces/digits.toml", "lanes": [0, 1, 2]}'

Lane n trains what trial n of the random sampler would, with the widest of each filter choice, so that all lanes have
the same arithmetic and a lane's config does not depend on how many there are. An engine of one lane trains them one
after another.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from processes import resident_mb

STUDY_SEED = 0
SAID_AT_MOST = 300  # characters of a failed process's last line


@dataclass(frozen=True)
class Job:
    """What to train. `epochs` are trained in full, the first compiles."""

    engine: str
    space: str
    lanes: list[int]
    epochs: int = 3
    threads: int = os.cpu_count() or 1
    device: str = "cpu"
    overrides: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Measured:
    """Seconds of each epoch of all lanes, training and validation; memory beyond what stood before the first lane."""

    device: str
    num_images: int  # of the training part
    image_gflop: float  # of one image's training step
    epoch_s: list[float]
    memory_mb: float
    val_accuracy: list[float]  # of each lane after the last epoch
    epoch_cpu_s: list[float] = field(default_factory=list)  # of all threads


class JobFailed(Exception):
    """The child ended without a result: its exit code, and its last line."""

    def __init__(self, exit_code: int, said: str) -> None:
        super().__init__(said)
        self.exit_code = exit_code


def run_job(job: Job, environment: Mapping[str, str]) -> Measured:
    """Train in a process of its own. JobFailed if that fails."""
    command = [sys.executable, str(Path(__file__).resolve()), json.dumps(asdict(job))]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if process.returncode < 0:  # the system kills what takes too much memory
        raise JobFailed(process.returncode, f"killed by signal {-process.returncode}")
    if process.returncode:
        said = process.stderr.strip().splitlines() or [f"ended with {process.returncode}"]
        raise JobFailed(process.returncode, said[-1][:SAID_AT_MOST])
    return Measured(**json.loads(process.stdout.splitlines()[-1]))


def lane_configs(job: Job) -> list[Any]:
    """The config of each lane."""
    import optuna

    from sweep.space.file import load_space
    from sweep.space.runs import derived_seed

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = load_space(Path(job.space), [*job.overrides, f"training.epochs={job.epochs}"])
    configs = []
    for number in job.lanes:
        seed = derived_seed(STUDY_SEED, number)
        params = space.suggest(optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask())
        for name, parameter in space.parameters.items():
            if (parameter.key or "").startswith("model.filters."):
                params[name] = max(parameter.extremes())
        configs.append(space.resolve(params, seed=seed))
    return configs


def train(job: Job) -> Measured:
    """Set up the device and train every lane to its last epoch."""
    from sweep.data import load
    from sweep.engines.auto import operation_threads
    from sweep.engines.cpu import default_onednn
    from sweep.engines.devices import set_up_device
    from sweep.models.cost import trial_cost

    num_threads = operation_threads(job.engine, job.threads)
    device = set_up_device(job.device, job.threads, operation_threads=num_threads, onednn=default_onednn())
    configs = lane_configs(job)
    dataset = load(configs[0].data)
    engine = _make_engine(job)
    at_once = [configs] if job.engine == "packed" else [[config] for config in configs]
    before_mb, first, scores = resident_mb(os.getpid()), None, []
    for group in at_once:
        epoch_s, epoch_cpu_s, then_mb, val_accuracy = _train_group(engine, group)
        first = first or (epoch_s, epoch_cpu_s, then_mb)
        scores += val_accuracy
    assert first is not None
    memory_mb = first[2] - before_mb if device.name == "cpu" else _gpu_peak_mb(device.name)
    cost = trial_cost(configs[0], dataset.image_shape, dataset.num_classes)
    image_gflop = cost.step_flops / configs[0].training.batch_size / 1e9
    return Measured(device.description, len(dataset.y_train), image_gflop, first[0], memory_mb, scores, first[1])


def _make_engine(job: Job) -> Any:
    if job.engine == "packed":
        from sweep.engines.packed.engine import PackedEngine

        return PackedEngine(len(job.lanes), job.threads, lambda: None)
    from sweep.engines.sequential import SequentialEngine

    return SequentialEngine()


def _train_group(engine: Any, configs: list[Any]) -> tuple[list[float], list[float], float, list[float]]:
    """Of each epoch seconds and CPU seconds, resident memory after the second, last scores; frees the lanes."""
    for lane, config in enumerate(configs):
        engine.admit(lane, config)
    epoch_s, epoch_cpu_s, then_mb, metrics = [], [], 0.0, {}
    for epoch in range(1, configs[0].training.epochs + 1):
        started, cpu_started = time.perf_counter(), time.process_time()
        metrics = engine.train_epoch()
        epoch_s.append(time.perf_counter() - started)
        epoch_cpu_s.append(time.process_time() - cpu_started)
        if epoch <= 2:
            then_mb = resident_mb(os.getpid())
    assert sorted(metrics) == list(range(len(configs))), "a lane gave no record of its last epoch"
    for lane in range(len(configs)):
        engine.evict(lane)
    return epoch_s, epoch_cpu_s, then_mb, [metrics[lane].logs["val_accuracy"] for lane in range(len(configs))]


def _gpu_peak_mb(name: str) -> float:
    """The most memory that the backend has held on the GPU."""
    import keras

    index = int(name.removeprefix("gpu:"))
    if keras.backend.backend() == "jax":
        import jax

        return float((jax.local_devices()[index].memory_stats() or {}).get("peak_bytes_in_use", "nan")) / 1e6
    import tensorflow as tf

    return float(tf.config.experimental.get_memory_info(f"GPU:{index}")["peak"]) / 1e6


def main() -> int:
    """Train what the argument says; a user's mistake (no such device, no data) is one line and exit code 2."""
    from sweep.errors import SweepError

    try:
        print(json.dumps(asdict(train(Job(**json.loads(sys.argv[1]))))))
    except SweepError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
