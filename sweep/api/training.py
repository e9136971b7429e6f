"""Define how a call of the Python API trains: the keyword arguments that `confirm`, `retrain` and `verify` share."""

from collections.abc import Sequence
from typing import Any, TypedDict

from sweep.errors import InputError
from sweep.options import DeviceOptions, EngineOptions, WorkerOptions, seconds
from sweep.spelling import did_you_mean


class TrainingArguments(TypedDict, total=False):
    """Keyword arguments with the meaning that they have in `sweep.run`."""

    engine: str | None
    lanes: int | None
    device: str
    gpu_memory_gb: float | None
    threads: int | None
    workers: int | None
    retries: int | None
    trial_timeout: str | float | None
    gpus: Sequence[int]
    slots_per_gpu: int | None
    ray: str | None
    cpus_per_worker: int | None
    gpus_per_worker: float | None


def training_options(arguments: TrainingArguments) -> dict[str, Any]:
    """Return the arguments as the fields `engine`, `device` and `workers` of an options record.

    Raises:
        InputError: There is no such argument, or a value is invalid.
    """
    known = TrainingArguments.__annotations__
    unknown = next((name for name in arguments if name not in known), None)
    if unknown is not None:
        raise InputError(f"{unknown} is not an argument{did_you_mean(unknown, known) or '; use ' + ', '.join(known)}")
    given: dict[str, Any] = {**arguments}
    if given.get("trial_timeout") is not None:
        given["trial_timeout_s"] = seconds(given["trial_timeout"])
    given.pop("trial_timeout", None)
    given["gpus"] = tuple(map(str, given.get("gpus", ())))
    for name in ("engine", "device", "ray"):
        if given.get(name) is not None and not isinstance(given[name], str):
            raise InputError(f"{name} must be a string, got {given[name]!r:.100}")
    return {
        "engine": EngineOptions(**_of(EngineOptions, given)),
        "device": DeviceOptions(**_of(DeviceOptions, given)),
        "workers": WorkerOptions(**_of(WorkerOptions, given)),
    }


def _of(record: type, given: dict[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in record.__dataclass_fields__ if name in given}  # type: ignore[attr-defined]
