"""Runs a user's own training loop report by report, on a thread that waits while the engine does not.

The engine and the loop take turns: `advance` lets the loop run to its next report and returns it. So loops of several
lanes do not overlap, and each has the global generators of Python and NumPy as it left them.
"""

import atexit
import ctypes
import itertools
import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from sweep.config.function import FunctionConfig
from sweep.engines.base import Answer, EpochRecord, Outcome, Suggestion
from sweep.engines.loaded_seeding import seed_loaded
from sweep.engines.own_trial import OwnTrial, pruned_error
from sweep.plugins.user_code import USER_THREAD

POLL_S = 0.2  # between looks at a signal
PATIENCE_S = 5.0  # for a loop's own cleaning up, once the sweep ends
_numbers = itertools.count()
_ending: set[threading.Thread] = set()  # of loops that were stopped


class OwnLoop:
    """One call of a function that takes a trial.

    Args:
        config: Of the call.
        call: Calls the function with the trial and returns its values by name.
        pause: Called all the time while the loop trains; it may raise.
    """

    def __init__(
        self, config: FunctionConfig, call: Callable[[OwnTrial], dict[str, float]], pause: Callable[[], None]
    ) -> None:
        self._trial = OwnTrial(config, self._hand_over, self._ask)
        self._call, self._pause = call, pause
        self._outcomes: queue.SimpleQueue[Outcome | Suggestion] = queue.SimpleQueue()
        self.answer = Answer(error="nothing answers")  # to the question that `advance` returned
        self._turn = threading.Semaphore(0)
        self._is_stopped = self._is_interrupted = False
        name = f"{USER_THREAD}-{next(_numbers)}"
        self._thread = threading.Thread(target=self._run, args=(_dtype_policy(),), name=name, daemon=True)

    def advance(self) -> Outcome | Suggestion:
        """Let the loop run to its next report, its next question or its end, and return that."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._turn.release()
        while True:
            try:
                return self._outcomes.get(timeout=POLL_S)
            except queue.Empty:
                self._check_pause()

    def stop(self) -> None:
        """Let the loop end: it learns that it is pruned. One that a signal interrupted is ended where it is."""
        self._is_stopped = True
        if not self._thread.is_alive():
            return
        _ending.add(self._thread)
        self._turn.release()
        if self._is_interrupted:
            _raise_in(self._thread)
            self._thread.join(PATIENCE_S)

    def wait_for_end(self) -> None:
        """Wait until a stopped loop has cleaned up."""
        while self._thread.is_alive():
            self._thread.join(POLL_S)
            self._check_pause()
        _ending.discard(self._thread)

    def _check_pause(self) -> None:
        try:
            self._pause()
        except BaseException:
            self._is_interrupted = True
            raise

    # ---- on the loop's thread ----

    def _run(self, policy: Any) -> None:
        try:
            self._outcomes.put(self._outcome(policy))
        except BaseException as error:
            self._trial.flush()
            self._outcomes.put(error)

    def _outcome(self, policy: Any) -> EpochRecord:
        if policy is not None:
            sys.modules["keras"].config.set_dtype_policy(policy)  # Keras has one for each thread
        seed_loaded(self._trial.seed)
        try:
            values = self._call(self._trial)
        except pruned_error():
            self._trial.flush()
            return self._trial.ended("pruned", {})
        self._trial.flush()
        return self._trial.ended("returned", values)

    def _hand_over(self, record: EpochRecord) -> bool:
        """Give the turn to the engine. Return whether the loop was stopped meanwhile."""
        if not self._is_stopped:
            self._give_turn(record)
        return self._is_stopped

    def _ask(self, suggestion: Suggestion) -> Any:
        """Return the study's value. Raise TrialPruned if the loop was stopped, ValueError if there is no value."""
        if not self._is_stopped:
            self._give_turn(suggestion)
        if self._is_stopped:
            raise pruned_error()("the trial has ended")
        if self.answer.error:
            raise ValueError(self.answer.error)
        return self.answer.value

    def _give_turn(self, outcome: EpochRecord | Suggestion) -> None:
        with _generators_kept():
            self._outcomes.put(outcome)
            self._turn.acquire()


@contextmanager
def _generators_kept() -> Iterator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    yield
    random.setstate(python)
    np.random.set_state(numpy)


def _dtype_policy() -> Any:
    """The one of this thread, where the user's code has imported Keras."""
    return sys.modules["keras"].config.dtype_policy() if "keras" in sys.modules else None


def _raise_in(thread: threading.Thread) -> None:
    """Raise SystemExit in a thread at its next line of Python."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))


@atexit.register
def _wait_for_all() -> None:
    """A thread that still runs a library in C++ when Python ends would end the process with an error."""
    deadline = time.monotonic() + PATIENCE_S
    for thread in _ending:
        thread.join(max(0.0, deadline - time.monotonic()))
