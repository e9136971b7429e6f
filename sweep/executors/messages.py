"""What launcher and worker say to each other: JSON, so that nothing that is received can be executed.

To a worker, `{"do": ...}`:

    set_up   device, threads, ...: import Keras, bind the device        answered by `{"device": ..., "code": ...}`
    make     the engine and its lanes                               answered by `{"made": ...}`
    start    lane, attempt, config, keeps_model: put a config on a free lane; a model that is kept is sent as
             "weights" next to its last event
    stop     lane
    train    lanes: one epoch of these                                  answered by `{"events": [...]}`
    answer   value, error: of the question `{"lane": ..., "question": ...}` that it sent while it trained

What the worker cannot do at all is answered by `{"failed": ...}`, the message of a `SweepError`.
"""

import json
from dataclasses import asdict
from typing import Any

from sweep.engines.base import EpochRecord, OwnReport
from sweep.errors import Cause
from sweep.executors.base import EpochDone, FailureContext, LaneLost


def encode(message: dict[str, Any]) -> bytes:
    """Return the message as bytes."""
    return json.dumps(message).encode()


def decode(received: bytes) -> dict[str, Any]:
    """Return the message of these bytes."""
    return dict(json.loads(received))


def event_values(event: EpochDone | LaneLost) -> dict[str, Any]:
    """Return an event as plain values; a lane's attempt is in its context, or next to it."""
    return asdict(event)


def event_of(values: dict[str, Any]) -> EpochDone | LaneLost:
    """Return the event of these values."""
    context = FailureContext(**values["context"]) if values["context"] else None
    if "metrics" in values:
        return EpochDone(values["lane"], _record_of(values["metrics"]), context)
    cause = Cause(values["cause"])
    return LaneLost(values["lane"], cause, values["error"], values["traceback_tail"], context or FailureContext())


def _record_of(values: dict[str, Any]) -> EpochRecord:
    own = values["own"]
    return EpochRecord(**{**values, "own": None if own is None else OwnReport(**own)})
