"""Run a worker process: it hosts one engine, executes the main process's messages, and exits with the main process.

    python -m sweep.executors.worker FILE_DESCRIPTOR     # of its end of the pipe; started by `WorkerProcess`

A worker receives configs and sends metrics. It sees neither the study nor its database.
"""

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import Any

from sweep.config.data import DataConfig
from sweep.config.function import run_config
from sweep.data import check_content
from sweep.engines.base import Answer, Suggestion
from sweep.engines.devices import set_up_device
from sweep.engines.function_process import prepare_function
from sweep.engines.registry import make_engine
from sweep.errors import SweepError
from sweep.executors.base import EpochDone, Kept, LaneLost
from sweep.executors.in_process import InProcessExecutor
from sweep.executors.messages import decode, encode, event_values
from sweep.models.probe import probe
from sweep.plugins.user_code import code_of, import_object


class Worker:
    """Execute messages; see `messages`. Events are sent with the attempt that their lane was started with.

    Args:
        ask: Sends a question and returns the message with its answer; None if the worker cannot ask.
    """

    def __init__(self, ask: Callable[[dict[str, Any]], dict[str, Any]] | None = None) -> None:
        self._ask = ask
        self._executor: InProcessExecutor | None = None
        self._attempts: dict[int, int] = {}
        self._keeps: dict[int, Kept] = {}  # what is sent when the run of a lane has ended

    def do(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Execute a message. Return the answer, None if there is none."""
        answer: dict[str, Any] | None = getattr(self, f"_{message.pop('do')}")(**message)
        return answer

    def _set_up(
        self,
        path: list[str],
        code: list[str],
        data: list[tuple[dict[str, Any], str]],
        function: dict[str, Any] | None,
        probed: list[dict[str, Any]],
        **device: Any,
    ) -> dict[str, Any]:
        sys.path[:] = path
        found = {} if device["name"] is None else asdict(set_up_device(**device))
        digest = code_of(*code).digest if code else ""  # computed before the import
        for values, content_hash in data:
            check_content(DataConfig(**values), content_hash)
        probe(probed)
        if function is not None:
            prepare_function(**function)
        for name in code:
            import_object(name, "your code")
        return {"device": found, "code": digest}

    def _make(self, trial_timeout_s: float | None, **engine: Any) -> dict[str, Any]:
        widest = [tuple(widths) for widths in engine.pop("widest")]
        made = make_engine(**engine, pause=lambda: None, widest=widest)  # the main process ends this one from outside
        self._executor = InProcessExecutor(made, trial_timeout_s)
        self._executor.answer_with(self._question)
        return {"made": True}

    def _start(self, lane: int, attempt: int, config: dict[str, Any], *, keeps: Kept) -> None:
        assert self._executor is not None
        self._attempts[lane] = attempt
        self._keeps[lane] = keeps
        self._executor.start(lane, run_config(config, "a config from the main process"))

    def _stop(self, lane: int) -> None:
        assert self._executor is not None
        self._executor.stop(lane)

    def _train(self, lanes: list[int]) -> dict[str, Any]:
        assert self._executor is not None
        events = [event for event in self._executor.wait(lanes) if isinstance(event, EpochDone | LaneLost)]
        return {"events": [self._event_message(event) for event in events]}

    def _question(self, lane: int, asked: Suggestion) -> Answer:
        """Send a question and return its answer; other messages, such as to stop a lane, are executed meanwhile."""
        if self._ask is None:
            return Answer(error="a Ray worker cannot ask for parameters; use --workers, or name them in [space]")
        message = self._ask({"lane": lane, "question": asdict(asked)})
        return Answer(message["value"], message["error"])

    def _event_message(self, event: EpochDone | LaneLost) -> dict[str, Any]:
        """Return an event with its attempt and, if the run has ended, with what is kept of it."""
        message = {"attempt": self._attempts[event.lane], "event": event_values(event)}
        if isinstance(event, EpochDone) and event.metrics.is_last:
            message["kept"] = self._kept(event.lane)
        return message

    def _kept(self, lane: int) -> str:
        assert self._executor is not None
        if self._keeps[lane] == "model":
            from sweep.engines.saved_weights import encode_weights

            return encode_weights(self._executor.model(lane))
        predictions = self._executor.predictions(lane) if self._keeps[lane] == "predictions" else None
        return predictions.encode() if predictions is not None and predictions.may_be_kept else ""


def main(descriptor: int) -> None:
    """Execute messages until the main process closes the pipe or exits.

    Args:
        descriptor: File descriptor of this end of the pipe.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is handled by the main process
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.set_inheritable(descriptor, False)
    connection = Connection(descriptor)
    messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, messages), daemon=True).start()

    def ask(question: dict[str, Any]) -> dict[str, Any]:
        connection.send_bytes(encode(question))
        while (message := messages.get())["do"] != "answer":
            worker.do(message)
        return message

    worker = Worker(ask)
    while True:
        try:
            answer = worker.do(messages.get())
        except SweepError as error:
            answer = {"failed": str(error)}
        if answer is not None:
            connection.send_bytes(encode(answer))


def _receive(connection: "Connection[Any, Any]", messages: "queue.SimpleQueue[dict[str, Any]]") -> None:
    """Receive messages on a separate thread, so that this process exits with the main one even during an epoch."""
    while True:
        try:
            messages.put(decode(connection.recv_bytes()))
        except (EOFError, OSError):
            os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
