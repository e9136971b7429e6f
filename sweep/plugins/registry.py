"""Things by their names, by one rule everywhere: a data source, a model family, a metric, a callback, an engine.

A name is a short one of ours, that of an entry point of an installed package, or `module:attribute` of the user's own.
What a name stands for is imported when it is asked for, and not before.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from pkgutil import iter_modules, resolve_name
from typing import Any, Generic, TypeVar

from sweep.errors import SpaceError, ends_process
from sweep.plugins.user_code import import_code, import_object, no_silent_exit
from sweep.spelling import did_you_mean

T = TypeVar("T")
CUSTOM_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")  # module:attribute


def one_per_module(package: str, attribute: str) -> dict[str, str]:
    """Of our own things, one in each module of a package: to add one is to add its file. Imports nothing.

    Args:
        package: Its dotted name, as `sweep.data.sources`.
        attribute: What each of its modules calls the thing.

    Returns:
        `package.module:attribute` by the module's name.
    """
    folder = Path(__file__).parents[1].joinpath(*package.split(".")[1:])
    return {module.name: f"{package}.{module.name}:{attribute}" for module in iter_modules([str(folder)])}


@dataclass(frozen=True, eq=False)  # one of a kind; in an annotation, it says which names a key takes
class Registry(Generic[T]):
    """One kind of things that can be named.

    Attributes:
        kind: What messages call one: "data source".
        key: The config key or option that names one, which opens messages: "data.name".
        group: The entry points' group: "sweep.sources".
        built_in: Of our own, `package.module:attribute` by short name.
        is_function: Whether each is called; one of the user's that cannot be is refused.
    """

    kind: str
    key: str
    group: str
    built_in: Mapping[str, str]
    is_function: bool = True

    @cached_property
    def _installed(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=self.group) if point.name not in self.built_in}

    def built_in_code(self, name: str) -> str | None:
        """`package.module:attribute` of one of ours; None for any other name."""
        return self.built_in.get(name)

    def names(self) -> list[str]:
        """The short names: ours, then those of installed packages."""
        return [*self.built_in, *sorted(self._installed)]

    def code_of(self, name: str) -> str | None:
        """`module:attribute` of code that is not ours and runs when the name is used; None for one of ours."""
        if self.built_in_code(name) is not None:
            return None
        return self._installed[name].value if name in self._installed else name

    def problem(self, name: str) -> str | None:
        """What is wrong with the name, with the fix; None if it can stand for something. Imports nothing."""
        is_ours = self.built_in_code(name) is not None
        if is_ours or name in self._installed or CUSTOM_NAME.fullmatch(name):
            return None
        there, meant = ", ".join(self.names()), did_you_mean(name, self.names()) or "."
        article = "an" if self.kind[0] in "aeiou" else "a"
        return f'"{name}" is not {article} {self.kind}{meant} Use one of {there}, or module:attribute of your own'

    def check(self, name: str) -> None:
        """Raise SpaceError, which begins with the key, if there is a `problem`."""
        problem = self.problem(name)
        if problem is not None:
            raise SpaceError(f"{self.key}: {problem}")

    def get(self, name: str) -> T:
        """What the name stands for.

        Raises:
            SpaceError: There is no such name, or its code cannot be imported. The message begins with the key.
        """
        self.check(name)
        built_in = self.built_in_code(name)
        if built_in is not None:
            found: T = resolve_name(built_in)
            return found
        if name in self._installed:
            return self._loaded(self._installed[name])  # type: ignore[no-any-return]
        own: Any = import_code(name, self.key) if self.is_function else import_object(name, self.key)
        return own  # type: ignore[no-any-return]

    def _loaded(self, point: EntryPoint) -> Any:
        try:
            with no_silent_exit():
                return point.load()
        except BaseException as error:
            if ends_process(error):
                raise
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            package = point.dist.name if point.dist is not None else "a package"
            raise SpaceError(
                f"{self.key}: {point.name} of {package} cannot be imported: {reason}; correct or uninstall it"
            ) from None
