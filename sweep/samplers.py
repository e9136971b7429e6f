"""`[sampler]` -> a fresh Optuna sampler for one trial, seeded from (study seed, trial number).

Samplers keep what they must remember in the study. So a new instance for each trial, with its own seed, makes a
resumed study equal to an unbroken one. Grid and QMC order their points by one fixed seed instead.
"""

import importlib.util
import inspect
import math
import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any

import optuna

from sweep.cmaes_fence import FencedCmaEsSampler
from sweep.errors import SpaceError
from sweep.parameters import Parameter, Params
from sweep.runs import derived_seed
from sweep.search_space import Choice, Space

SAMPLERS: dict[str, Any] = {
    "random": optuna.samplers.RandomSampler,
    "tpe": optuna.samplers.TPESampler,
    "grid": optuna.samplers.GridSampler,
    "qmc": optuna.samplers.QMCSampler,
    "gp": optuna.samplers.GPSampler,
    "cmaes": FencedCmaEsSampler,
    "nsgaii": optuna.samplers.NSGAIISampler,
    "nsgaiii": optuna.samplers.NSGAIIISampler,
    "brute_force": optuna.samplers.BruteForceSampler,
    "partial_fixed": optuna.samplers.PartialFixedSampler,
}
NEEDS = {"gp": "torch", "cmaes": "cmaes"}
ONE_OBJECTIVE = ("cmaes",)
FIXED_ORDER = ("grid", "qmc")
EXHAUSTIBLE = ("grid", "brute_force")
MODELS_HISTORY = ("tpe", "partial_fixed", "gp")  # the longer it is, the longer each asking takes
MOST_POINTS = 1_000_000  # listed in memory
OURS = ("self", "seed", "search_space", "base_sampler", "constraints_func")  # not for a file to say

PLAIN: dict[str, Any] = {"int": int, "float": (int, float), "str": str, "bool": bool, "dict[str, Any]": dict}

SamplerFactory = Callable[[int], optuna.samplers.BaseSampler]


def sampler_factory(space: Space, seed: int) -> SamplerFactory:
    """trial number -> sampler. SpaceError for an unknown name or option, or a missing package, before any trial."""
    choice = space.sampler
    check_choice(space, choice, SAMPLERS, "sampler", OURS)
    package = NEEDS.get(choice.name)
    if package is not None and importlib.util.find_spec(package) is None:
        raise SpaceError(
            f"{space.source}: sampler.name: {choice.name} needs the package {package}; pip install {package}"
        )
    if choice.name in ONE_OBJECTIVE and len(space.directions) > 1:
        raise SpaceError(
            f"{space.source}: sampler.name: {choice.name} takes one objective, not {len(space.directions)}; "
            "use tpe, nsgaii or gp"
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
    """How many trials the sampler has before it repeats itself; None where it never does, or not in a lifetime."""
    if space.sampler.name not in EXHAUSTIBLE:
        return None
    grid = _grid(space)
    if space.sampler.name == "grid":
        return math.prod(map(len, grid.values()))
    return _count_points(space.parameters)


def size_line(space: Space, num_trials: int) -> str | None:
    """`grid: 40 points, 30 of them with --trials 30`; None where not every parameter has finitely many values."""
    is_exhaustible = space.sampler.name in EXHAUSTIBLE
    if not space.parameters or any(parameter.num_values() is None for parameter in space.parameters.values()):
        return None
    points = num_points(space) if is_exhaustible else _count_points(space.parameters)
    what = space.sampler.name if is_exhaustible else "space"
    if points is None:
        return f"{what}: more than {MOST_POINTS:,} points"
    tried = f", {num_trials} of them with --trials {num_trials}" if is_exhaustible and num_trials < points else ""
    return f"{what}: {points:,} points{tried}"


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
    """The values of each parameter. SpaceError where they, or all points that a grid sampler lists, are too many."""
    nums_values = {name: parameter.num_values() for name, parameter in space.parameters.items()}
    for name, num_values in nums_values.items():
        if num_values is None or num_values > MOST_POINTS:
            raise SpaceError(
                f"{space.source}: space.{name}: a {space.sampler.name} sampler needs finitely many values "
                f"(at most {MOST_POINTS}); {'add' if num_values is None else 'raise'} step"
            )
    if not nums_values:
        raise SpaceError(f"{space.source}: space: nothing varies, so there is no grid; add a parameter")
    if space.sampler.name == "grid" and math.prod(filter(None, nums_values.values())) > MOST_POINTS:
        raise SpaceError(f"{space.source}: space: a grid of more than {MOST_POINTS} points; raise steps or fix some")
    return {name: parameter.values() or [] for name, parameter in space.parameters.items()}


def _count_points(parameters: Mapping[str, Parameter]) -> int | None:
    """Points of a space with conditions; None where they are more than MOST_POINTS."""
    deciding = {name for parameter in parameters.values() for name in parameter.when or {}}
    points: list[tuple[Params, int]] = [({}, 1)]  # params that decide, and how many points have them
    for name, parameter in parameters.items():
        num_values = parameter.num_values() or 0
        if sum(count * (num_values if parameter.is_active(params) else 1) for params, count in points) > MOST_POINTS:
            return None
        points = [more for params, count in points for more in _extend(params, count, name, parameter, deciding)]
    return sum(count for _, count in points)


def _extend(
    params: Params, count: int, name: str, parameter: Parameter, deciding: Collection[str]
) -> list[tuple[Params, int]]:
    if not parameter.is_active(params):
        return [(params, count)]
    values = parameter.values() or []
    return (
        [({**params, name: value}, count) for value in values] if name in deciding else [(params, count * len(values))]
    )
