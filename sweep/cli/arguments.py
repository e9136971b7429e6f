"""Arguments that several commands share, in groups, and the options that are made of them."""

import argparse
import re
from pathlib import Path

from sweep.errors import InputError
from sweep.options import DeviceOptions, EngineOptions, StorageOptions, WorkerOptions, default_studies, seconds


def add_overrides(command: argparse.ArgumentParser) -> None:
    """`--set`."""
    command.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="a fixed value: training.epochs=5",
    )


def add_space(command: argparse.ArgumentParser) -> None:
    """The space file, and `--set`."""
    command.add_argument("space", type=Path, metavar="SPACE", help="a space file (.toml)")
    add_overrides(command)


def add_studies(command: argparse._ActionsContainer) -> None:
    """`--studies`."""
    command.add_argument(
        "--studies",
        type=Path,
        default=default_studies(),
        metavar="DIR",
        help="output folder (studies, or SWEEP_STUDIES)",
    )


def add_storage(command: argparse.ArgumentParser) -> None:
    """`--studies` and `--storage`."""
    group = command.add_argument_group("storage")
    add_studies(group)
    group.add_argument(
        "--storage",
        metavar="URL",
        help="instead of DIR/sweep.db: sqlite:///file.db, postgresql+psycopg://user@host/database (or SWEEP_STORAGE)",
    )


def storage_options(arguments: argparse.Namespace) -> StorageOptions:
    """Of `add_storage` or `add_studies`."""
    return StorageOptions(arguments.studies, getattr(arguments, "storage", None))


def add_engine(command: argparse.ArgumentParser, what: str = "trials", default: str = "the study's, else auto") -> None:
    """`--engine` and `--lanes`."""
    group = command.add_argument_group("engine")
    group.add_argument(
        "--engine",
        metavar="NAME",
        help=f"auto, packed, sequential, fake, or module:attribute of your own ({default})",
    )
    group.add_argument("--lanes", type=lanes, metavar="K", help=f"{what} at a time, or auto ({default})")


def engine_options(arguments: argparse.Namespace) -> EngineOptions:
    """Of `add_engine`."""
    return EngineOptions(None if arguments.engine == "auto" else arguments.engine, arguments.lanes)


def add_device(command: argparse.ArgumentParser) -> None:
    """`--device`, `--gpu-memory-gb`, `--threads`."""
    group = command.add_argument_group("device")
    group.add_argument("--device", default="auto", help="auto (default), cpu, gpu:N")
    group.add_argument("--gpu-memory-gb", type=above_zero, metavar="GB", help="cap on GPU memory")
    group.add_argument("--threads", type=at_least_one, metavar="N", help="CPU threads (all cores)")


def device_options(arguments: argparse.Namespace) -> DeviceOptions:
    """Of `add_device`."""
    return DeviceOptions(arguments.device, arguments.gpu_memory_gb, arguments.threads)


def add_workers(command: argparse.ArgumentParser) -> None:
    """Processes that train, on this machine or on a Ray cluster."""
    group = command.add_argument_group("workers")
    group.add_argument(
        "--workers",
        "--num-workers",
        type=from_zero,
        metavar="N",
        help="processes that train; a trial survives the death of one (the study's, else 0: in this process)",
    )
    group.add_argument("--retries", type=from_zero, metavar="N", help="of a trial whose worker died (1)")
    group.add_argument(
        "--trial-timeout", type=duration, metavar="TIME", help="of training, for each attempt of a trial: 90s, 10m"
    )
    group.add_argument("--gpus", type=gpus, metavar="0,1", help="a worker for each of these GPUs")
    group.add_argument("--slots-per-gpu", type=at_least_one, metavar="N", help="workers that share a GPU (1)")
    ray = command.add_argument_group("Ray cluster")
    ray.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="the workers are actors of this Ray cluster: auto, host:port; without an address of one started here",
    )
    ray.add_argument(
        "--cpus-per-worker", type=at_least_one, metavar="N", help="of a Ray (an equal part; a node's for one each)"
    )
    ray.add_argument("--gpus-per-worker", type=above_zero, metavar="X", help="of a Ray: 1, 2, or 0.5 to share one (0)")


def worker_options(arguments: argparse.Namespace) -> WorkerOptions:
    """Of `add_workers`."""
    return WorkerOptions(
        workers=arguments.workers,
        retries=arguments.retries,
        trial_timeout_s=arguments.trial_timeout,
        gpus=tuple(arguments.gpus or ()),
        slots_per_gpu=arguments.slots_per_gpu,
        ray=arguments.ray,
        cpus_per_worker=arguments.cpus_per_worker,
        gpus_per_worker=arguments.gpus_per_worker,
    )


def at_least_one(text: str) -> int:
    """A positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)


def from_zero(text: str) -> int:
    """0 or a positive integer."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be 0 or a positive integer, got {text!r}")
    return int(text)


def gpus(text: str) -> tuple[str, ...]:
    """GPU indices, each once, as the driver counts them."""
    indices = tuple(text.split(","))
    if not all(gpu.isdecimal() for gpu in indices) or len(set(indices)) < len(indices):
        raise argparse.ArgumentTypeError(f"must be a list of GPUs such as 0,1, got {text!r}")
    return indices


def lanes(text: str) -> int | None:
    """A positive integer; None for auto."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer or auto, got {text!r}")
    return int(text)


def port(text: str) -> int:
    """A TCP port; 0 for a free one."""
    if not text.isdecimal() or int(text) >= 2**16:
        raise argparse.ArgumentTypeError(f"must be an integer from 0 to 65535, got {text!r}")
    return int(text)


def seed(text: str) -> int:
    """A seed of NumPy's and Keras's kind."""
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"must be an integer from 0 to 2147483647, got {text!r}")
    return int(text)


def above_zero(text: str) -> float:
    """A number above 0."""
    if not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) <= 0:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return float(text)


def duration(text: str) -> float:
    """Seconds from `90`, `90s`, `10m`, `2h`, `1d`."""
    try:
        return seconds(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
