"""Create a new Optuna sampler of `[sampler]` for each trial, seeded from (study seed, trial number).

Samplers store their state in the study. So with a new instance and its own seed for each trial, a resumed study equals
an uninterrupted one. QMC needs one fixed seed for its sequence instead.

Grid and brute-force search use sweep's list of points (`untried`), as Optuna's grid sampler does not support conditions
and its brute-force sampler fails for a trial without params. Older studies continue to use Optuna's.
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
from sweep.tuning.safe_cmaes import SafeCmaEsSampler

SAMPLERS: dict[str, Any] = {
    "random": optuna.samplers.RandomSampler,
    "tpe": optuna.samplers.TPESampler,
    "grid": optuna.samplers.GridSampler,
    "qmc": optuna.samplers.QMCSampler,
    "gp": optuna.samplers.GPSampler,
    "cmaes": SafeCmaEsSampler,
    "nsgaii": optuna.samplers.NSGAIISampler,
    "nsgaiii": optuna.samplers.NSGAIIISampler,
    "brute_force": optuna.samplers.BruteForceSampler,
    "partial_fixed": optuna.samplers.PartialFixedSampler,
}
REQUIRED_PACKAGES = {"gp": "torch", "cmaes": "cmaes"}
ONE_OBJECTIVE = ("cmaes",)
LISTING = ("grid", "brute_force")  # try all points
INDEPENDENT = ("random", "grid", "qmc", "brute_force")  # their params do not depend on scores
MODELS_HISTORY = ("tpe", "partial_fixed", "gp")  # the time to sample grows with the number of trials
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
    """A function that creates the sampler of a trial."""

    def __call__(self, number: int, attempt: int = 0) -> optuna.samplers.BaseSampler:
        """Create the sampler of a trial.

        Args:
            number: Number of the trial.
            attempt: Number of the attempt, each with another seed, to draw params that were not tried before.
        """


def sampler_factory(space: Space, seed: int, *, distinct: bool = True) -> SamplerFactory:
    """Make the sampler factory of a study.

    Args:
        space: The space, with the sampler's name and options.
        seed: The study's seed.
        distinct: Whether sweep lists the points of a grid; False for an older study, which uses Optuna's samplers.

    Returns:
        The factory.

    Raises:
        SpaceError: The name or an option is unknown, or a package is missing.
    """
    choice = space.sampler
    CHOICES.check(space, choice, "sampler", OWN_OPTIONS.get(choice.name, {}))
    _check_fits(space)
    kind, options = CHOICES.get(choice.name), dict(choice.options)
    if choice.name in LISTING and distinct:
        kind, options = optuna.samplers.RandomSampler, {}  # for params that an enqueued trial does not fix
    elif choice.name == "grid":
        options["search_space"] = {name: parameter.values() or [] for name, parameter in space.parameters.items()}

    takes_seed = "seed" in inspect.signature(kind).parameters

    def make(number: int, attempt: int = 0) -> optuna.samplers.BaseSampler:
        own_seed = derived_seed(seed, number)
        if attempt:
            own_seed = derived_seed(own_seed, attempt)
        if choice.name == "partial_fixed":
            return kind(base_sampler=SAMPLERS["tpe"](seed=own_seed), **options)  # type: ignore[no-any-return]
        if choice.name == "qmc" and distinct:  # otherwise independent params would be the same in every trial
            options["independent_sampler"] = optuna.samplers.RandomSampler(seed=own_seed)
        if not takes_seed:  # a user's class
            return kind(**options)  # type: ignore[no-any-return]
        is_ordered = choice.name == "qmc" or (choice.name == "grid" and not distinct)
        return kind(seed=seed if is_ordered else own_seed, **options)  # type: ignore[no-any-return]

    def build(number: int, attempt: int = 0) -> optuna.samplers.BaseSampler:
        with warnings.catch_warnings():  # the call below shows warnings once, not for each trial
            warnings.simplefilter("ignore")
            return make(number, attempt)

    try:
        make(0)
    except Exception as error:  # Optuna checks options in many ways
        raise SpaceError(f"{space.source}: sampler: {error}") from None
    return build


def _check_fits(space: Space) -> None:
    """Raise SpaceError if the sampler needs a package that is missing, or cannot be used with the space."""
    name, where = space.sampler.name, f"{space.source}: sampler.name"
    package = REQUIRED_PACKAGES.get(name)
    if package is not None and importlib.util.find_spec(package) is None:
        raise SpaceError(f"{where}: {name} needs the package {package}; pip install 'sweep[{name}]'")
    if name in ONE_OBJECTIVE and len(space.directions) > 1:
        raise SpaceError(f"{where}: {name} takes one objective, not {len(space.directions)}; use tpe, nsgaii or gp")
    if name in LISTING:
        _check_is_finite(space)


def _check_is_finite(space: Space) -> None:
    """Raise SpaceError, with an example for each parameter to change, if the points of the space cannot be listed."""
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
    """Return a fix such as `add step = 0.25`, or a list of choices for a log range."""
    if parameter.log:
        values = [float(f"{value:.2g}") for value in spread(parameter, NUM_EXAMPLES)]
        return f'use type = "categorical" and choices = {values}'
    return f"add step = {(parameter.high - parameter.low) / (NUM_EXAMPLES - 1):.2g}"
