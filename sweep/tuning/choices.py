"""Find samplers and pruners by name, and check their options: classes of Optuna, installed packages or the user."""

import inspect
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from sweep.errors import SpaceError
from sweep.plugins.registry import Registry
from sweep.space.space import Choice, Space
from sweep.spelling import did_you_mean
from sweep.storage.optuna_internals import reseed

PLAIN: dict[str, Any] = {"int": int, "float": (int, float), "str": str, "bool": bool, "dict[str, Any]": dict}


@dataclass(frozen=True)
class Choices:
    """The classes that `[sampler]` or `[pruner]` can name.

    Attributes:
        kind: `sampler` or `pruner`.
        base: Optuna's base class.
        classes: Classes by short name.
        reserved: Constructor arguments that a file cannot set.
        needed: Required options by short name, each with an example, such as `patience = 3`.
    """

    kind: str
    base: type
    classes: dict[str, Any]
    reserved: tuple[str, ...]
    needed: dict[str, str]

    @cached_property
    def _others(self) -> Registry[Any]:
        names = dict.fromkeys(self.classes, "")
        return Registry(self.kind, f"{self.kind}.name", f"sweep.{self.kind}s", names, is_function=False)

    def code_of(self, name: str) -> str | None:
        """Return `module:Class` of a class of another package or the user; None for a class with a short name."""
        return self._others.code_of(name) if name not in self.classes and self._others.problem(name) is None else None

    def get(self, name: str) -> Any:
        """Return the class of this name; for an object of user code, a function that copies it.

        Raises:
            SpaceError: It cannot be imported, or it is not derived from `base`.
        """
        if name in self.classes:
            return self.classes[name]
        found = self._others.get(name)
        if isinstance(found, self.base):
            return partial(_copied, found)
        if not (isinstance(found, type) and issubclass(found, self.base)):
            raise SpaceError(
                f"{self.kind}.name: {name} must be a class derived from optuna's {self.base.__name__}, or an instance"
            )
        return found

    def check(self, space: Space, choice: Choice, section: str, own_options: dict[str, list[str]]) -> None:
        """Check a name and its options.

        Args:
            space: The space, whose file is named in messages.
            choice: The name and its options.
            section: The section of the file that contains them.
            own_options: Options that sweep adds to this class, with their types.

        Raises:
            SpaceError: There is no such class, or an option is unknown, of another type, or missing.
        """
        is_short = choice.name in self.classes
        if not is_short and self._others.problem(choice.name) is not None:
            plain = choice.name.lower().removesuffix(self.kind)  # as in the name of Optuna's class, "TPESampler"
            use = f"use {', '.join(self._others.names())} or module:Class{did_you_mean(plain, self.classes)}"
            raise SpaceError(f'{space.source}: {section}.name: "{choice.name}" is unknown; {use}')
        try:
            allowed = (plain_options if is_short else _all_options)(self.get(choice.name), self.reserved) | own_options
        except SpaceError as error:
            raise SpaceError(f"{space.source}: {error}") from None
        for name, value in choice.options.items():
            where = f"{space.source}: {section}.{name}"
            if name not in allowed:
                takes = f"it takes {', '.join(allowed) or 'none'}{did_you_mean(name, allowed)}"
                raise SpaceError(f"{where}: {choice.name} has no such option; {takes}")
            if allowed[name] and not any(_is_of_kind(value, kind) for kind in allowed[name]):
                raise SpaceError(f"{where}: must be {' or '.join(allowed[name])}, got {value!r}")
        self._check_needed(space, choice, section)

    def _check_needed(self, space: Space, choice: Choice, section: str) -> None:
        names, _, value = self.needed.get(choice.name, "").partition(" = ")
        options = [*filter(None, names.split(" or "))]
        if options and not set(options) & choice.options.keys():
            flag = f"--{self.kind} {choice.name}:{options[0]}={value}"
            raise SpaceError(
                f"{space.source}: {section}: {choice.name} needs {names}; add {options[0]} = {value} to [{section}], "
                f"or on the command line {flag!r}"
            )


def _copied(made: Any, *, seed: int | None = None) -> Any:
    """Return a copy of a user's sampler or pruner; a sampler gets the seed."""
    found = deepcopy(made)
    if seed is not None:
        reseed(found, seed)
    return found


def plain_options(optuna_class: Any, reserved: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the constructor arguments that a file can express: numbers, strings, booleans or tables.

    Args:
        optuna_class: A sampler or pruner.
        reserved: Arguments to omit.

    Returns:
        The names of types by argument, as in its annotation.
    """
    options: dict[str, list[str]] = {}
    for name, parameter in inspect.signature(optuna_class.__init__).parameters.items():
        annotation = parameter.annotation
        kinds = str(getattr(annotation, "__name__", annotation)).split(" | ")
        kinds = [kind for kind in kinds if kind != "None"]
        if name not in reserved and kinds and all(kind in PLAIN for kind in kinds):
            options[name] = kinds
    return options


def _all_options(user_class: Any, reserved: tuple[str, ...]) -> dict[str, list[str]]:
    """Return every named argument of a user's class, without types, so that its values are not checked."""
    parameters = inspect.signature(user_class).parameters.values()
    named = (one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY))
    return {one.name: [] for one in named if one.name not in reserved}


def _is_of_kind(value: Any, kind: str) -> bool:
    return isinstance(value, PLAIN[kind]) and (kind == "bool" or not isinstance(value, bool))
