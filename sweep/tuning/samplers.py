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
from sweep.space.space import Space
from sweep.tuning.choices import Choices
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
OWN_OPTIONS = {name: {NUM_VALUES: ["int"]} for name in LISTING}
NUM_EXAMPLES = 5  # values in a message
CHOICES = Choices(
    "sampler",
    optuna.samplers.BaseSampler,
    SAMPLERS,
    reserved=("self", "seed", "search_space", "base_sampler", "constraints_func"),
    needed={"partial_fixed": "fixed_params = {momentum = 0.9}"},
)


class SamplerFactory(Protocol):
    """Makes the sampler of a trial; those of further attempts draw something else."""

    def __call__(self, number: int, attempt: int = 0) -> optuna.samplers.BaseSampler:
        """Return the sampler of the trial with this number."""


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
    CHOICES.check(space, choice, "sampler", OWN_OPTIONS.get(choice.name, {}))
    _check_fits(space)
    kind, options = CHOICES.get(choice.name), dict(choice.options)
    if choice.name in LISTING and distinct:
        kind, options = optuna.samplers.RandomSampler, {}  # for what an enqueued trial leaves open
    elif choice.name == "grid":
        options["search_space"] = {name: parameter.values() or [] for name, parameter in space.parameters.items()}

    takes_seed = "seed" in inspect.signature(kind).parameters

    def make(number: int, attempt: int = 0) -> optuna.samplers.BaseSampler:
        own_seed = derived_seed(seed, number)
        if attempt:
            own_seed = derived_seed(own_seed, attempt)
        if choice.name == "partial_fixed":
            return kind(base_sampler=SAMPLERS["tpe"](seed=own_seed), **options)  # type: ignore[no-any-return]
        if choice.name == "qmc" and distinct:  # what is not of its sequence would be the same in every trial
            options["independent_sampler"] = optuna.samplers.RandomSampler(seed=own_seed)
        if not takes_seed:  # a class of the user's
            return kind(**options)  # type: ignore[no-any-return]
        is_ordered = choice.name == "qmc" or (choice.name == "grid" and not distinct)
        return kind(seed=seed if is_ordered else own_seed, **options)  # type: ignore[no-any-return]

    def build(number: int, attempt: int = 0) -> optuna.samplers.BaseSampler:
        with warnings.catch_warnings():  # reported once below, not for each trial
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
