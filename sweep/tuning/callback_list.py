"""Create the callbacks of a sweep by name, and call them so that their errors do not end the sweep."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import optuna

from sweep.errors import InputError, ends_process
from sweep.plugins.registry import Registry
from sweep.text import error_line
from sweep.tuning.callback import Callback, SweepInfo

Call = Callable[[Callback], None]
CALLBACKS: Registry[Callable[[], Callback]] = Registry(
    "callback", "--callback", "sweep.callbacks", {"progress": "sweep.tuning.progress:make_progress"}
)


def make_callbacks(names: Iterable[str | Callback]) -> list[Callback]:
    """Create callbacks by name.

    Args:
        names: Names of built-in callbacks, of entry points of installed packages, or `module:Class` of user code;
            instances are returned unchanged.

    Returns:
        The callbacks, in their order.

    Raises:
        InputError: There is no such callback, or it cannot be created.

    """
    return [_create(name) if isinstance(name, str) else _checked(name) for name in names]


def _checked(callback: object) -> Callback:
    if not isinstance(callback, Callback):
        kind = callback.__name__ if isinstance(callback, type) else type(callback).__name__
        raise InputError(f"callbacks: {kind} must be an instance of a class derived from sweep.Callback")
    return callback


def _create(name: str) -> Callback:
    make = CALLBACKS.get(name)
    try:
        callback = make()
    except BaseException as error:
        if ends_process(error):
            raise
        raise InputError(f"--callback {name}: cannot be created: {error_line(error)}") from None
    if not isinstance(callback, Callback):
        raise InputError(f"--callback {name}: is a {type(callback).__name__}; derive it from sweep.Callback")
    return callback


class CallbackList:
    """Call callbacks after their events are stored. A callback that raises is reported and removed.

    Args:
        callbacks: The callbacks.
        notice: Called with a line for the user if a callback raises.
    """

    def __init__(self, callbacks: Sequence[Callback], notice: Callable[[str], None]) -> None:
        self._within = [callback for callback in callbacks if callback.in_transaction]
        self._after = [callback for callback in callbacks if not callback.in_transaction]
        self._notice = notice
        self._posted: list[Call] = []

    @contextmanager
    def sweep(self, study: optuna.Study, info: SweepInfo) -> Iterator[None]:
        """Call `on_sweep_start` before the body and `on_sweep_end` after it, however it ends.

        `on_sweep_end` of callbacks that are called in transactions is called by `end_within` instead.

        Args:
            study: The study.
            info: What the sweep is about to do.
        """
        for callbacks in (self._within, self._after):
            self._call_all(callbacks, lambda callback: callback.on_sweep_start(study, info))
        try:
            yield
        finally:
            self._posted.clear()  # calls that a failed transaction has posted
            self._call_all(self._after, lambda callback: callback.on_sweep_end(study))

    def end_within(self, study: optuna.Study) -> None:
        """Call `on_sweep_end` of the callbacks that are called in transactions, within the last one."""
        self._call_all(self._within, lambda callback: callback.on_sweep_end(study))

    def post(self, call: Call) -> None:
        """Call the callbacks that are called in transactions, and post the call for the others; see `deliver`."""
        self._call_all(self._within, call)
        self._posted.append(call)

    def deliver(self) -> None:
        """Make the posted calls, after their events have been stored."""
        posted, self._posted = self._posted, []
        for call in posted:
            self._call_all(self._after, call)

    def _call_all(self, callbacks: list[Callback], call: Call) -> None:
        for callback in [*callbacks]:
            try:
                call(callback)
            except BaseException as error:  # a user's hook may raise anything, SystemExit too
                if callback.ends_sweep or ends_process(error):
                    raise
                callbacks.remove(callback)
                name = type(callback).__name__
                self._notice(f"callback {name} failed and is not called any more: {error_line(error)}")
