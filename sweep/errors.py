"""Everything that can go wrong in a way a user can mend.

    SweepError                 one line with the fix, no traceback; its exit code is the command's
    ├── InputError             exit 2: a file, flag or key of the user's is wrong
    │   ├── SpaceError         a space file or config
    │   ├── DataError          the images could not be read or split
    │   ├── ModelError         a builder's model is not what can be trained
    │   ├── DeviceError        the requested device does not exist
    │   └── StudyError         a study's name, lock, settings or database
    ├── NoUsableTrial          exit 3: the sweep ended without one COMPLETE trial
    ├── SweepStopped           exit 3: too many failed trials in a row
    └── WorkersLost            exit 3: the Ray that the workers run on is gone
    Interrupted                SIGINT, SIGTERM or SIGHUP: exit 130, 143 or 129, resumable
                               (not an Exception: nothing may swallow it)

`Cause` names why a single trial failed; a failed trial is no error of the sweep.
"""

import errno
import signal
import threading
from enum import StrEnum

FAILURE_ATTRS = ("cause", "error", "traceback", "attempt", "host", "peak_memory_mb", "log")  # of a failed trial
MAX_FAILURES = 5  # in a row
SAME_ERRORS = 3  # in a row
UNREADABLE = (
    "the study cannot be read ({said}), though every check of the database passes: another program wrote values "
    "into it that Optuna does not understand; remove that, or resume under another --study"
)
DISK_IS_FULL = "the disk is full; free some space, then run the same command to resume"
NO_LOCKS = (
    "its file system does not support locks, which keep two programs from writing at the same time; start its lock "
    "manager (on NFS rpc.statd, or mount it with local_lock=all if one machine alone uses it), or choose another "
)
NO_LOCKS_ERRORS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)


class SweepError(Exception):
    """Base of all errors that end a command with one line."""

    exit_code = 2


class InputError(SweepError):
    """What the user gave is wrong; nothing was lost."""


class SpaceError(InputError):
    """A space file or config is wrong. The message names file, key and fix."""


class DataError(InputError):
    """The data could not be read, or is not what the config says."""


class ModelError(InputError):
    """A builder's model does not fit the data or the loss. The message names builder and fix."""


class DeviceError(InputError):
    """The requested device does not exist."""


class StudyError(InputError):
    """A study's name, lock, stored settings or database is not usable."""


class NoUsableTrial(SweepError):
    """The sweep ended, and no trial is COMPLETE."""

    exit_code = 3


class SweepStopped(SweepError):
    """Too many failed trials in a row: further ones would fail too."""

    exit_code = 3


class WorkersLost(SweepError):
    """What the workers run on is gone; the study is consistent and resumable."""

    exit_code = 3


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP arrived; the study is consistent and resumable."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number


class Cause(StrEnum):
    """Why a trial failed; stored with it as the user attribute `cause`."""

    NAN = "nan"
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    KILLED = "killed"
    BUILD_ERROR = "build_error"
    USER_ERROR = "user_error"
    DATA_ERROR = "data_error"


def ends_process(error: BaseException) -> bool:
    """Return whether an exception of user code is a signal's; all others are the code's own and fail one trial.

    While `Interruption` handles SIGINT, a KeyboardInterrupt is one that the code raised itself.
    """
    may_be_signal = threading.current_thread() is threading.main_thread()
    is_pythons_own = may_be_signal and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return isinstance(error, Interrupted) or (isinstance(error, KeyboardInterrupt) and is_pythons_own)


def is_disk_full(error: OSError) -> bool:
    """Return whether there is no space left on the disk, or in the user's quota."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def message_of(error: BaseException) -> str:
    """Return the error's text; "" if a user's exception class fails to produce one."""
    try:
        return str(error)
    except Exception:
        return ""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the host's or the device's memory was too small, as Python, TensorFlow or JAX report it."""
    return (
        isinstance(error, MemoryError)
        or "RESOURCE_EXHAUSTED" in message_of(error)
        or "ResourceExhausted" in type(error).__name__
    )
