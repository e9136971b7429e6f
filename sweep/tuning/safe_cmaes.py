"""Read the optimizer that Optuna's CMA-ES sampler stores as a pickle in the database, without executing the pickle.

`pickle.loads` may execute code that a database contains. So the pickle is loaded here with stand-ins for all classes
and functions that it names, which only store their arguments; any other name is rejected. NumPy's own functions are
replaced too, as they trust flags and sizes. The optimizer is then created from the stored arguments.
"""

import io
import pickle
from collections.abc import Callable, Sequence, Set
from functools import cache
from typing import Any

import numpy as np
import optuna

from sweep.errors import StudyError
from sweep.storage.optuna_internals import RestoringCmaEsSampler
from sweep.text import error_line

DTYPES = ("f8", "f4", "i8", "i4", "b1")
NUMBERS = (bool, int, float, np.bool_, np.number)


class SafeCmaEsSampler(RestoringCmaEsSampler):
    """Optuna's `CmaEsSampler` with a safe way to read the optimizer; Optuna's own class is unchanged."""

    def sample_relative(self, study: optuna.Study, trial: Any, search_space: Any) -> dict[str, Any]:
        """Sample as Optuna does. Raise StudyError if a trial contains anything other than a CMA-ES optimizer."""
        try:
            return super().sample_relative(study, trial, search_space)
        except _InvalidOptimizer as error:
            raise StudyError(f"study {study.study_name}: {error}; resume under another --study") from None

    def restored(self, trial: optuna.trial.FrozenTrial, text: Callable[[], str]) -> Any:
        """Return the optimizer that is stored with the trial."""
        try:
            return read_optimizer(text())
        except Exception as error:  # pickles fail in many ways
            problem = error_line(error)
            raise _InvalidOptimizer(
                f"trial {trial.number} does not contain an optimizer of CMA-ES ({problem})"
            ) from None


class _InvalidOptimizer(Exception):
    """A stored optimizer is invalid; the message lacks the study's name."""


def read_optimizer(text: str) -> Any:
    """Read a `cmaes` optimizer from its pickle, without executing it.

    Args:
        text: The pickle as hex digits.

    Raises:
        Exception: Anything, if it is not an optimizer.
    """
    found = _Reader(io.BytesIO(bytes.fromhex(text))).load()
    if not isinstance(found, _Optimizer):
        raise ValueError(f"{type(found).__name__} instead of an optimizer")
    return found.rebuilt()


class _Dtype:
    """Stand-in for `numpy.dtype`: only types of numbers, no objects and no records."""

    def __init__(self, code: str, *_: object) -> None:
        if code not in DTYPES:
            raise ValueError(f"arrays of {code!r}")
        self.value = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.value = self.value.newbyteorder(state[1])


class _Array:
    """Stand-in for `numpy.ndarray`, whose state contains shape, dtype, order and content."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, is_fortran, content = state
        self.value = _array(content, dtype, shape, "F" if is_fortran else "C")


class _Optimizer:
    """Stand-in for a class of `cmaes`, which stores the attributes until the whole pickle has been read.

    Attributes:
        kind: The class.
        attributes: The sets of attributes that an instance may have.
    """

    kind: type
    attributes: Sequence[Set[str]]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = state

    def rebuilt(self) -> Any:
        """Return a real instance. Raise ValueError if an attribute is not a number, an array or an optimizer."""
        if self.state.keys() not in self.attributes:
            raise ValueError(f"a {self.kind.__name__} with other attributes")
        state = {name: _real(value) for name, value in self.state.items()}
        optimizer: Any = object.__new__(self.kind)
        restore = getattr(optimizer, "__setstate__", optimizer.__dict__.update)
        restore(state)
        return optimizer


def _real(value: Any) -> Any:
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, _Optimizer):
        return value.rebuilt()
    if value is None or isinstance(value, (*NUMBERS, np.ndarray)):
        return value
    raise ValueError(f"an attribute of kind {type(value).__name__}")


def _array(content: bytes, dtype: _Dtype, shape: tuple[int, ...], order: Any) -> Any:
    """Create an array. NumPy raises an error if shape and content do not match."""
    return np.ndarray(shape, dtype.value, bytes(memoryview(content)), order=order).copy(order="K")


def _scalar(dtype: _Dtype, content: bytes) -> Any:
    return _array(content, dtype, (), "C")[()]


NUMPYS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): lambda *_: _Array(),
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy._core.numeric", "_frombuffer"): _array,  # pickle protocol 5, Python's default from 3.14
}


class _Reader(pickle.Unpickler):
    """An unpickler that replaces every name by its stand-in, and rejects all other names."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a name. Called for each name in the pickle."""
        known = NUMPYS.get((module, name)) or _optimizers().get((module, name))
        if known is None:
            raise pickle.UnpicklingError(f"it names {module[:40]}.{name[:40]}")
        return known


@cache
def _optimizers() -> dict[tuple[str, str], type]:
    import cmaes

    options = {"mean": np.zeros(2), "sigma": 1.0, "bounds": np.array([[0.0, 1.0]] * 2)}
    plain, separable = cmaes.CMA(**options), cmaes.SepCMA(**options)
    margins = [cmaes.CMAwM(**options, steps=np.array([step, 0.0])) for step in (0.5, 0.0)]  # with a discrete one, none
    return dict(map(_stand_in, ([plain], [separable], margins)))


def _stand_in(fresh: Sequence[Any]) -> tuple[tuple[str, str], type]:
    kind = type(fresh[0])
    attributes = [one.__getstate__().keys() for one in fresh]
    stand_in = type(kind.__name__, (_Optimizer,), {"kind": kind, "attributes": attributes})
    return (kind.__module__, kind.__qualname__), stand_in
