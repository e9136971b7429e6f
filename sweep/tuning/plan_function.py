"""What `sweep run` settles where the objective is a plain function: there is no device and no data."""

import argparse
from typing import Any

from sweep.engines.auto import EngineChoice
from sweep.errors import InputError
from sweep.executors.pool import Workers
from sweep.space.functions import check_calls
from sweep.space.space import Space
from sweep.tuning.plan import DataSummary, Settled, announce_code, make_settings

NO_DATA = DataSummary("", (0, 0, 0), 0)


def check_flags(options: argparse.Namespace) -> None:
    """InputError for flags that only training has."""
    has_no_effect = {
        f"--engine {options.engine}": options.engine not in (None, "auto"),
        f"--device {options.device}": options.device != "auto",
        "--threads": options.threads is not None,
        "--gpus": bool(options.gpus),
        "--gpu-memory-gb": options.gpu_memory_gb is not None,
    }
    for flag, is_given in has_no_effect.items():
        if is_given:
            raise InputError(f"{flag}: study.function is called, nothing is trained; remove it")


def settle_function(
    options: argparse.Namespace, space: Space, stored: dict[str, Any], seed: int, workers: Workers | None = None
) -> Settled:
    """The function is looked for where it will run; lanes as asked, as the study began, else one a process."""
    assert space.function is not None
    announce_code(options, space, workers)
    calls = space.function_calls()
    if workers is None:
        check_calls(space.function, calls)
    else:
        workers.set_up(None, threads=1, function={"function": space.function, "calls": calls})
    choice = EngineChoice("function", options.lanes or stored.get("num_lanes") or 1, f"calls {space.function}")
    num_workers = workers.num_workers if workers else 0
    settings = make_settings(space, seed, NO_DATA, choice, 1, None, num_workers)
    return Settled(space, settings, None, choice, workers.kind if workers else "")
