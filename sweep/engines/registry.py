"""An engine by its name; what it needs is imported here and not before."""

import os
import pkgutil
from collections.abc import Callable, Sequence

from sweep.engines.base import Engine


def make_engine(
    name: str, num_lanes: int, threads: int, pause: Callable[[], None], widest: Sequence[tuple[int, ...]] = ()
) -> Engine:
    """`fake`, `packed` or `sequential`; `module:function` makes one of your own from the number of lanes.

    `function` calls functions instead. `pause` is called every second or so and may raise; `widest` as `Space.widest`.
    """
    if ":" in name:
        return pkgutil.resolve_name(name)(num_lanes)  # type: ignore[no-any-return]
    if name == "fake":
        from sweep.engines.fake import FakeEngine

        return FakeEngine(num_lanes, epoch_s=float(os.environ.get("SWEEP_FAKE_EPOCH_S") or 0))
    if name == "function":
        from sweep.engines.function import FunctionEngine

        return FunctionEngine(num_lanes, pause)
    if name == "packed":
        from sweep.engines.packed.engine import PackedEngine

        return PackedEngine(num_lanes, threads, pause, widest)
    from sweep.engines.sequential import SequentialEngine

    return SequentialEngine(pause=pause)
