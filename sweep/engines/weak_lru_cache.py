"""Values by key, kept as long as something uses them. Pure Python."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class WeakLruCache(Generic[Key, Value]):
    """Makes a value when it is first asked for; keeps those that others hold, and the `size` that were used last."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._alive: WeakValueDictionary[Key, Value] = WeakValueDictionary()
        self._last: dict[Key, Value] = {}  # the one used last at the end

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of the key."""
        value = self._alive.get(key)
        self._alive[key] = value = make() if value is None else value
        self._last.pop(key, None)
        self._last[key] = value
        for oldest in [*self._last][: -self._size]:
            del self._last[oldest]
        return value

    def values(self) -> list[Value]:
        """All that are kept."""
        return [*self._alive.values()]
