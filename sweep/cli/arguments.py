"""Define the arguments that several commands share, and build typed options from them.

For each group there is a pair of functions: `add_...` adds the arguments to a command's parser, `..._options` builds
the options from the parsed arguments. The functions at the end parse the text of one argument; argparse reports the
`ArgumentTypeError` that they raise.
"""

import argparse
import re
from pathlib import Path

from sweep.errors import InputError
from sweep.options import DeviceOptions, EngineOptions, StorageOptions, WorkerOptions, default_studies, seconds


def add_overrides(command: argparse.ArgumentParser) -> None:
    """Add `--set`."""
    command.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="Fix a key of the file at a value, as in training.epochs=5. Can be repeated.",
    )


def add_space(command: argparse.ArgumentParser) -> None:
    """Add the space file and `--set`."""
    command.add_argument("space", type=Path, metavar="SPACE", help="Path of the space file (.toml).")
    add_overrides(command)


def add_studies(command: argparse._ActionsContainer) -> None:
    """Add `--studies`."""
    command.add_argument(
        "--studies",
        type=Path,
        default=default_studies(),
        metavar="DIR",
        help="Folder of the database and of all outputs. Default: SWEEP_STUDIES if set, else studies.",
    )


def add_storage(command: argparse.ArgumentParser) -> None:
    """Add `--studies` and `--storage`."""
    group = command.add_argument_group("storage")
    add_studies(group)
    group.add_argument(
        "--storage",
        metavar="URL",
        help="Database URL: sqlite:///file.db or postgresql+psycopg://user@host/database. "
        "Default: SWEEP_STORAGE if set, else DIR/sweep.db.",
    )


def storage_options(arguments: argparse.Namespace) -> StorageOptions:
    """Return the options of `add_storage` or `add_studies`."""
    return StorageOptions(arguments.studies, getattr(arguments, "storage", None))


def add_engine(
    command: argparse.ArgumentParser, unit: str = "trials", default: str = "the stored study's value, else auto"
) -> None:
    """Add `--engine` and `--lanes`.

    Args:
        command: The command's parser.
        unit: What is trained in a lane, in the plural.
        default: What is used without the options, as the help states it.
    """
    group = command.add_argument_group("engine")
    group.add_argument(
        "--engine",
        metavar="NAME",
        help="What trains: packed (several models at a time in one compiled program), sequential (Keras, one model "
        "after the other), auto, or module:attribute for a custom engine. "
        f"Default: {default}.",
    )
    group.add_argument(
        "--lanes",
        type=lanes,
        metavar="K",
        help=f"Number of {unit} that each process trains at the same time, each in a lane of the engine; or auto. "
        f"Default: {default}.",
    )


def engine_options(arguments: argparse.Namespace) -> EngineOptions:
    """Return the options of `add_engine`."""
    return EngineOptions(None if arguments.engine == "auto" else arguments.engine, arguments.lanes)


def add_device(command: argparse.ArgumentParser) -> None:
    """Add `--device`, `--gpu-memory-gb` and `--threads`."""
    group = command.add_argument_group("device")
    group.add_argument("--device", default="auto", help="Device to train on: auto, cpu or gpu:N. Default: auto.")
    group.add_argument(
        "--gpu-memory-gb", type=positive_float, metavar="GB", help="Limit on GPU memory, in GiB. Default: no limit."
    )
    group.add_argument("--threads", type=positive_int, metavar="N", help="Number of CPU threads. Default: all cores.")


def device_options(arguments: argparse.Namespace) -> DeviceOptions:
    """Return the options of `add_device`."""
    return DeviceOptions(arguments.device, arguments.gpu_memory_gb, arguments.threads)


def add_workers(command: argparse.ArgumentParser) -> None:
    """Add the arguments of worker processes on this machine or on a Ray cluster."""
    group = command.add_argument_group("workers")
    group.add_argument(
        "--workers",
        "--num-workers",
        type=non_negative_int,
        metavar="N",
        help="Number of worker processes that train; 0 trains in this process. A trial whose worker exits unexpectedly "
        "is retried. Default: 0, or the stored study's value on resume.",
    )
    group.add_argument(
        "--retries",
        type=non_negative_int,
        metavar="N",
        help="Number of retries for a trial whose worker exited unexpectedly. Default: 1.",
    )
    group.add_argument(
        "--trial-timeout",
        type=duration,
        metavar="TIME",
        help="Training time allowed for each attempt of a trial: 90s, 10m, 2h. Default: no limit.",
    )
    group.add_argument(
        "--gpus", type=gpu_indices, metavar="0,1", help="Indices of GPUs; each gets a worker. Default: none."
    )
    group.add_argument(
        "--slots-per-gpu", type=positive_int, metavar="N", help="Number of workers that share a GPU. Default: 1."
    )
    ray = command.add_argument_group("Ray cluster")
    ray.add_argument(
        "--ray",
        nargs="?",
        const="local",
        metavar="ADDRESS",
        help="Run the workers as actors of the Ray cluster at this address: auto or host:port. "
        "Without an address, a local Ray cluster is started.",
    )
    ray.add_argument(
        "--cpus-per-worker",
        type=positive_int,
        metavar="N",
        help="Number of CPUs of each Ray worker. Default: an equal share, or a whole node for one worker per node.",
    )
    ray.add_argument(
        "--gpus-per-worker",
        type=positive_float,
        metavar="X",
        help="Number of GPUs of each Ray worker: 1, 2, or 0.5 to share one. Default: 0.",
    )


def worker_options(arguments: argparse.Namespace) -> WorkerOptions:
    """Return the options of `add_workers`."""
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


def positive_int(text: str) -> int:
    """Parse a positive integer."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)


def non_negative_int(text: str) -> int:
    """Parse 0 or a positive integer."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be 0 or a positive integer, got {text!r}")
    return int(text)


def gpu_indices(text: str) -> tuple[str, ...]:
    """Parse distinct GPU indices, separated by commas, as the driver numbers them."""
    indices = tuple(text.split(","))
    if not all(gpu.isdecimal() for gpu in indices) or len(set(indices)) < len(indices):
        raise argparse.ArgumentTypeError(f"must be a list of GPUs such as 0,1, got {text!r}")
    return indices


def lanes(text: str) -> int | None:
    """Parse a positive integer; return None for "auto"."""
    if text == "auto":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer or auto, got {text!r}")
    return int(text)


def port(text: str) -> int:
    """Parse a TCP port; 0 lets the system choose a free one."""
    if not text.isdecimal() or int(text) >= 2**16:
        raise argparse.ArgumentTypeError(f"must be an integer from 0 to 65535, got {text!r}")
    return int(text)


def seed(text: str) -> int:
    """Parse a seed in the range that both NumPy and Keras accept."""
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"must be an integer from 0 to 2147483647, got {text!r}")
    return int(text)


def positive_float(text: str) -> float:
    """Parse a number above 0."""
    if not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) <= 0:
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return float(text)


def duration(text: str) -> float:
    """Parse a time such as `90`, `90s`, `10m`, `2h` or `1d`; return seconds."""
    try:
        return seconds(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
