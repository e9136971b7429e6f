"""An engine by its name; what it needs is imported here and not before."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweep.engines.base import Engine
from sweep.plugins.registry import Registry

HERE = "sweep.engines.registry"
ENGINES: Registry[Callable[..., Engine]] = Registry(
    kind="engine",
    key="--engine",
    group="sweep.engines",
    built_in={name: f"{HERE}:_{name}" for name in ("packed", "sequential", "function", "fake")},
)


@dataclass(frozen=True)
class EngineRequest:
    """What an engine of ours is made for.

    Attributes:
        num_lanes: How many runs it trains at once.
        threads: CPU threads in all.
        pause: Called every second or so while it trains; it may raise.
        widest: As `Space.widest`.
    """

    num_lanes: int
    threads: int
    pause: Callable[[], None] = field(default=lambda: None)
    widest: Sequence[tuple[int, ...]] = ()


def make_engine(
    name: str, num_lanes: int, threads: int, pause: Callable[[], None], widest: Sequence[tuple[int, ...]] = ()
) -> Engine:
    """`packed`, `sequential`, `function`, `fake`; one of an installed package or `module:attribute` of the user's own.

    An engine that is not ours is made from the number of lanes alone.

    Raises:
        SpaceError: There is no such engine, or its code cannot be imported.
    """
    make = ENGINES.get(name)
    if ENGINES.code_of(name) is not None:
        return make(num_lanes)
    return make(EngineRequest(num_lanes, threads, pause, widest))


def _packed(request: EngineRequest) -> Any:
    from sweep.engines.packed.engine import PackedEngine

    return PackedEngine(request.num_lanes, request.threads, request.pause, request.widest)


def _sequential(request: EngineRequest) -> Any:
    from sweep.engines.sequential import SequentialEngine

    return SequentialEngine(pause=request.pause)


def _function(request: EngineRequest) -> Any:
    from sweep.engines.function import FunctionEngine

    return FunctionEngine(request.num_lanes, request.pause)


def _fake(request: EngineRequest) -> Any:
    from sweep.engines.fake import FakeEngine

    return FakeEngine(request.num_lanes, epoch_s=float(os.environ.get("SWEEP_FAKE_EPOCH_S") or 0))
