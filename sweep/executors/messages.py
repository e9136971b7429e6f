"""Encode the messages between the main process and a worker as JSON, so that received content cannot be executed.

A message to a worker is `{"do": NAME, ...}` with the arguments of one of these requests:

    set_up   import Keras and set up the device (device, threads, ...)  answer: `{"device": ..., "code": ...}`
    make     create the engine with its lanes                           answer: `{"made": ...}`
    start    start a run on a free lane (lane, attempt, config, keeps); what is kept, its model or its predictions, is
             sent with the run's last event
    stop     free a lane (lane)
    train    train one epoch of some lanes (lanes)                      answer: `{"events": [...]}`
    answer   answer a question `{"lane": ..., "question": ...}` that the worker sent during training (value, error)

If a request fails, the answer is `{"failed": ...}` with the message of a `SweepError`.
"""

import json
from dataclasses import asdict
from typing import Any

from sweep.engines.base import EpochRecord, OwnReport
from sweep.errors import Cause
from sweep.executors.base import EpochDone, FailureContext, LaneLost


def encode(message: dict[str, Any]) -> bytes:
    """Encode a message as JSON bytes."""
    return json.dumps(message).encode()


def decode(received: bytes) -> dict[str, Any]:
    """Decode a message from JSON bytes."""
    return dict(json.loads(received))


def event_values(event: EpochDone | LaneLost) -> dict[str, Any]:
    """Return an event as values that JSON can represent."""
    return asdict(event)


def event_of(values: dict[str, Any]) -> EpochDone | LaneLost:
    """Return the event for the result of `event_values`."""
    context = FailureContext(**values["context"]) if values["context"] else None
    if "metrics" in values:
        return EpochDone(values["lane"], _record_of(values["metrics"]), context)
    cause = Cause(values["cause"])
    return LaneLost(values["lane"], cause, values["error"], values["traceback_tail"], context or FailureContext())


def _record_of(values: dict[str, Any]) -> EpochRecord:
    own = values["own"]
    return EpochRecord(**{**values, "own": None if own is None else OwnReport(**own)})
