"""`[sampler]` -> a fresh Optuna sampler for one trial, seeded from (study seed, trial number).

Samplers keep what they must remember in the study. So a new instance for each trial, with its own seed, makes a
resumed study equal to an unbroken one. QMC orders its points by one fixed seed instead.

The points of a grid are listed by us (`untried`), as Optuna's own knows no conditions, and its brute force fails over a
trial without params; studies from before that keep Optuna's.
"""

import importlib.util
import inspect
import warnings
from typing import Any, Protocol

import optuna

from sweep.errors import SpaceError
from sweep.space.parameters import Float
from sweep.space.points import MOST_POINTS, NUM_VALUES, points_of, spread
from sweep.space.runs import derived_seed
from sweep.space.space import Choice, Space
from sweep.spelling import did_you_mean
from sweep.tuning.safe_cmaes import FencedCmaEsSampler

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
LISTING = ("grid", "brute_force")  # go through all points
INDEPENDENT = ("random", "grid", "qmc", "brute_force")  # what they ask does not depend on scores
MODELS_HISTORY = ("tpe", "partial_fixed", "gp")  # the longer it is, the longer each asking takes
NEEDED = {  # options without a default, with an example
    "partial_fixed": "fixed_params = {momentum = 0.9}",
    "percentile": "percentile = 25.0",
    "threshold": "lower or upper = 0.2",
    "patient": "patience = 3",
}
OWN_OPTIONS = {name: {NUM_VALUES: ["int"]} for name in LISTING}
NUM_EXAMPLES = 5  # values in a message
OURS = ("self", "seed", "search_space", "base_sampler", "constraints_func")  # not for a file to say

PLAIN: dict[str, Any] = {"int": int, "float": (int, float), "str": str, "bool": bool, "dict[str, Any]": dict}


class SamplerFactory(Protocol):
    """Makes the sampler of a trial; those of further attempts draw something else."""

    def __call__(self, number: int, attempt: int = 0) -> optuna.samplers.BaseSampler:
        """The sampler of the trial of this number."""


def sampler_factory(space: Space, seed: int, *, distinct: bool = True) -> SamplerFactory:
    """Make the samplers of a study.

    Args:
        space: Names the sampler and its options.
        seed: The study's.
        distinct: Whether the study lists its points, so that a grid need not.

    Raises:
        SpaceError: The name or an option is unknown, or a package is missing.
    """
    choice = space.sampler
    check_choice(space, choice, SAMPLERS, "sampler", OURS)
    _check_fits(space)
    kind, options = SAMPLERS[choice.name], dict(choice.options)
    if choice.name in LISTING and distinct:
        kind, options = optuna.samplers.RandomSampler, {}  # for what an enqueued trial leaves open
    elif choice.name == "grid":
        options["search_space"] = {name: parameter.values() or [] for name, parameter in space.parameters.items()}

    def make(number: int, attempt: int = 0) -> optuna.samplers.BaseSampler:
        own_seed = derived_seed(seed, number)
        if attempt:
            own_seed = derived_seed(own_seed, attempt)
        if choice.name == "partial_fixed":
            return kind(base_sampler=SAMPLERS["tpe"](seed=own_seed), **options)  # type: ignore[no-any-return]
        if choice.name == "qmc" and distinct:  # what is not of its sequence would be the same in every trial
            options["independent_sampler"] = optuna.samplers.RandomSampler(seed=own_seed)
        is_ordered = choice.name == "qmc" or (choice.name == "grid" and not distinct)
        return kind(seed=seed if is_ordered else own_seed, **options)  # type: ignore[no-any-return]

    def build(number: int, attempt: int = 0) -> optuna.samplers.BaseSampler:
        with warnings.catch_warnings():  # said once below, not again for each trial
            warnings.simplefilter("ignore")
            return make(number, attempt)

    try:
        make(0)
    except Exception as error:  # Optuna checks options in many ways
        raise SpaceError(f"{space.source}: sampler: {error}") from None
    return build


def _check_fits(space: Space) -> None:
    """SpaceError where the sampler lacks a package, or cannot search such a space."""
    name, where = space.sampler.name, f"{space.source}: sampler.name"
    package = NEEDS.get(name)
    if package is not None and importlib.util.find_spec(package) is None:
        raise SpaceError(f"{where}: {name} needs the package {package}; pip install 'sweep[{name}]'")
    if name in ONE_OBJECTIVE and len(space.directions) > 1:
        raise SpaceError(f"{where}: {name} takes one objective, not {len(space.directions)}; use tpe, nsgaii or gp")
    if name in LISTING:
        _check_is_finite(space)


def _check_is_finite(space: Space) -> None:
    """SpaceError, with what to write for each, unless all parameters have a number of values that can be listed."""
    name, num_values = space.sampler.name, space.sampler.options.get(NUM_VALUES)
    if not space.parameters:
        raise SpaceError(f"{space.source}: space: nothing varies, so there is no grid; add a parameter")
    if num_values is not None and num_values < 2:
        raise SpaceError(f"{space.source}: sampler.{NUM_VALUES}: must be at least 2, got {num_values}")
    endless = {key: one for key, one in space.parameters.items() if isinstance(one, Float) and one.num_values() is None}
    if endless and num_values is None:
        examples = "; ".join(f"space.{key}: {_finite_example(parameter)}" for key, parameter in endless.items())
        raise SpaceError(
            f"{space.source}: a {name} sampler needs finitely many values of each parameter: {examples}; "
            f"or take as many of each range with --sampler {name}:{NUM_VALUES}={NUM_EXAMPLES}"
        )
    for key, parameter in space.parameters.items():
        if (parameter.num_values() or 0) > MOST_POINTS:
            raise SpaceError(
                f"{space.source}: space.{key}: a {name} sampler takes at most {MOST_POINTS} values; add a larger step"
            )
    if points_of(space) is None:
        raise SpaceError(f"{space.source}: space: more than {MOST_POINTS} points; add larger steps, or fix some")


def _finite_example(parameter: Float) -> str:
    """What could stand in the file: `add step = 0.25`; a log range becomes a list."""
    if parameter.log:
        values = [float(f"{value:.2g}") for value in spread(parameter, NUM_EXAMPLES)]
        return f'use type = "categorical" and choices = {values}'
    return f"add step = {(parameter.high - parameter.low) / (NUM_EXAMPLES - 1):.2g}"


def check_choice(space: Space, choice: Choice, known: dict[str, Any], section: str, ours: tuple[str, ...]) -> None:
    """SpaceError unless the name is known and Optuna's class takes every option."""
    if choice.name not in known:
        plain = choice.name.lower().removesuffix(section.partition(".")[0])  # Optuna's class: "TPESampler"
        use = f"use {', '.join(known)}{did_you_mean(plain, known)}"
        raise SpaceError(f'{space.source}: {section}.name: "{choice.name}" is unknown; {use}')
    allowed = _plain_options(known[choice.name], ours) | OWN_OPTIONS.get(choice.name, {})
    for name, value in choice.options.items():
        where = f"{space.source}: {section}.{name}"
        if name not in allowed:
            takes = f"it takes {', '.join(allowed) or 'none'}{did_you_mean(name, allowed)}"
            raise SpaceError(f"{where}: {choice.name} has no such option; {takes}")
        if not any(_is_of_kind(value, kind) for kind in allowed[name]):
            raise SpaceError(f"{where}: must be {' or '.join(allowed[name])}, got {value!r}")
    _check_needed(space, choice, section)


def _check_needed(space: Space, choice: Choice, section: str) -> None:
    """SpaceError, with an example, without an option that has no default."""
    names, _, value = NEEDED.get(choice.name, "").partition(" = ")
    needed = [*filter(None, names.split(" or "))]
    if needed and not set(needed) & choice.options.keys():
        flag = f"--{section.partition('.')[0]} {choice.name}:{needed[0]}={value}"
        raise SpaceError(
            f"{space.source}: {section}: {choice.name} needs {names}; add {needed[0]} = {value} to [{section}], "
            f"or on the command line {flag!r}"
        )


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
