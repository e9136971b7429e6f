"""`[sampler]` -> a fresh Optuna sampler for one trial, seeded from (study seed, trial number).

Samplers keep what they must remember in the study. So a new instance for each trial, with its own seed, makes a
resumed study equal to an unbroken one. Grid and QMC order their points by one fixed seed instead.
"""

import importlib.util
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna

from sweep.errors import SpaceError
from sweep.search_space import Choice, Space

SAMPLERS: dict[str, Any] = {
    "random": optuna.samplers.RandomSampler,
    "tpe": optuna.samplers.TPESampler,
    "grid": optuna.samplers.GridSampler,
    "qmc": optuna.samplers.QMCSampler,
    "gp": optuna.samplers.GPSampler,
    "cmaes": optuna.samplers.CmaEsSampler,
    "nsgaii": optuna.samplers.NSGAIISampler,
    "nsgaiii": optuna.samplers.NSGAIIISampler,
    "brute_force": optuna.samplers.BruteForceSampler,
    "partial_fixed": optuna.samplers.PartialFixedSampler,
}
NEEDS = {"gp": "torch", "cmaes": "cmaes"}
FIXED_ORDER = ("grid", "qmc")
EXHAUSTIBLE = ("grid", "brute_force")
OURS = ("self", "seed", "search_space", "base_sampler", "constraints_func")  # not for a file to say

PLAIN: dict[str, Any] = {"int": int, "float": (int, float), "str": str, "bool": bool, "dict[str, Any]": dict}

SamplerFactory = Callable[[int], optuna.samplers.BaseSampler]


def derived_seed(seed: int, trial_number: int) -> int:
    """A 31-bit seed from (study seed, trial number), by NumPy's SeedSequence."""
    return int(np.random.SeedSequence([seed, trial_number]).generate_state(1)[0] >> 1)


def sampler_factory(space: Space, seed: int) -> SamplerFactory:
    """trial number -> sampler. SpaceError for an unknown name or option, or a missing package, before any trial."""
    choice = space.sampler
    check_choice(space, choice, SAMPLERS, "sampler", OURS)
    package = NEEDS.get(choice.name)
    if package is not None and importlib.util.find_spec(package) is None:
        raise SpaceError(
            f"{space.source}: sampler.name: {choice.name} needs the package {package}; pip install {package}"
        )
    options = dict(choice.options)
    if choice.name == "grid":
        options["search_space"] = _grid(space)
    if choice.name == "brute_force":
        _grid(space)

    def make(trial_number: int) -> optuna.samplers.BaseSampler:
        own_seed = seed if choice.name in FIXED_ORDER else derived_seed(seed, trial_number)
        if choice.name == "partial_fixed":
            return SAMPLERS["partial_fixed"](base_sampler=SAMPLERS["tpe"](seed=own_seed), **options)  # type: ignore[no-any-return]
        return SAMPLERS[choice.name](seed=own_seed, **options)  # type: ignore[no-any-return]

    def build(trial_number: int) -> optuna.samplers.BaseSampler:
        with warnings.catch_warnings():  # said once below, not again for each trial
            warnings.simplefilter("ignore")
            return make(trial_number)

    try:
        make(0)
    except Exception as error:  # Optuna checks options in many ways
        raise SpaceError(f"{space.source}: sampler: {error}") from None
    return build


def num_points(space: Space) -> int | None:
    """How many trials the sampler has before it repeats itself; None where it never does."""
    if space.sampler.name not in EXHAUSTIBLE:
        return None
    grid = _grid(space)
    if space.sampler.name == "grid":
        return int(np.prod([len(values) for values in grid.values()], dtype=np.int64))
    return _count_conditional(list(space.parameters.items()), {})


def check_choice(space: Space, choice: Choice, known: dict[str, Any], section: str, ours: tuple[str, ...]) -> None:
    """SpaceError unless the name is known and Optuna's class takes every option."""
    if choice.name not in known:
        raise SpaceError(f'{space.source}: {section}.name: "{choice.name}" is unknown; use {", ".join(known)}')
    allowed = _plain_options(known[choice.name], ours)
    for name, value in choice.options.items():
        where = f"{space.source}: {section}.{name}"
        if name not in allowed:
            raise SpaceError(f"{where}: {choice.name} has no such option; it takes {', '.join(allowed) or 'none'}")
        if not any(_is_of_kind(value, kind) for kind in allowed[name]):
            raise SpaceError(f"{where}: {' or '.join(allowed[name])} is wanted (got {value!r})")


def _plain_options(optuna_class: Any, ours: tuple[str, ...]) -> dict[str, list[str]]:
    """Options that a file can say, with their kinds: those annotated as numbers, text, bool or dict."""
    options: dict[str, list[str]] = {}
    for name, parameter in inspect.signature(optuna_class.__init__).parameters.items():
        annotation = parameter.annotation
        kinds = str(getattr(annotation, "__name__", annotation)).split(" | ")
        kinds = [kind for kind in kinds if kind != "None"]
        if name not in ours and kinds and all(kind in PLAIN for kind in kinds):
            options[name] = kinds
    return options


def _is_of_kind(value: Any, kind: str) -> bool:
    return isinstance(value, PLAIN[kind]) and (kind == "bool" or not isinstance(value, bool))


def _grid(space: Space) -> dict[str, list[Any]]:
    grid: dict[str, list[Any]] = {}
    for name, parameter in space.parameters.items():
        values = parameter.values()
        if values is None:
            raise SpaceError(
                f"{space.source}: space.{name}: a {space.sampler.name} sampler needs finitely many values; add step"
            )
        grid[name] = values
    if not grid:
        raise SpaceError(f"{space.source}: space: nothing varies, so there is no grid; add a parameter")
    return grid


def _count_conditional(parameters: list[tuple[str, Any]], params: dict[str, Any]) -> int:
    if not parameters:
        return 1
    (name, parameter), rest = parameters[0], parameters[1:]
    if not parameter.is_active(params):
        return _count_conditional(rest, params)
    return sum(_count_conditional(rest, {**params, name: value}) for value in parameter.values())
