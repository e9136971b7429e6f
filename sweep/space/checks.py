"""What is wrong with a space whose sections are right by themselves: keys that clash, corners that cannot be built."""

import itertools
import re
from collections.abc import Sequence

from pydantic import ValidationError

from sweep.config.class_weight import weights_by_class
from sweep.config.families import model_keys
from sweep.config.keys import OPTIONS, option_is_set
from sweep.config.model import ImageShape
from sweep.config.section import first_problem
from sweep.config.trial import SECTIONS, TrialConfig, meant_key, section_keys
from sweep.errors import SpaceError
from sweep.space.functions import check_calls, is_own
from sweep.space.parameters import Params, active_parameters, combined_params, extreme_params
from sweep.space.space import Space

MOST_CORNERS = 2000  # ends of ranges and choices, of all parameters together


def check_space(space: Space) -> None:
    """Raise SpaceError, with the fix, for the first problem of the space."""
    if space.function is not None:
        _check_function(space)
    else:
        _check_families(space)
        _check_keys(space)
        _check_configs(space)


def _check_function(space: Space) -> None:
    """Nothing is trained, so there is nothing to configure; a built-in function knows its parameters."""
    section = next(iter(space.fixed), None)
    if section is not None:
        raise SpaceError(f"{space.source}: {section}: a function is called with the parameters only; remove it")
    keyed = next((name for name, parameter in space.parameters.items() if parameter.key is not None), None)
    if keyed is not None:
        raise SpaceError(f"{space.source}: space.{keyed}.key: a function receives {keyed} by its name; remove the key")
    if space.plan.num_runs > 1:
        raise SpaceError(f"{space.source}: study: a function is called once; remove repeats and cross_validation")
    if not is_own(space.study.function or ""):
        try:
            check_calls(space.study.function or "", space.function_calls())
        except SpaceError as error:
            raise SpaceError(f"{space.source}: {error}") from None


def _check_families(space: Space) -> None:
    """Those that are named exist; the user's own are of one module, as one digest of code is stored with a trial."""
    try:
        model_keys(space.families)
    except SpaceError as error:
        raise SpaceError(f"{space.source}: {error}") from None
    modules = list(dict.fromkeys(code.partition(":")[0] for code in space.user_families))
    if len(modules) > 1:
        raise SpaceError(
            f"{space.source}: model.family: custom families must be in one module, not in {' and '.join(modules)}; "
            "import one module in the other"
        )


def _check_keys(space: Space) -> None:
    """Each parameter varies a key that exists, that nothing else sets, or decides a condition."""
    used_in_conditions = {name for parameter in space.parameters.values() for name in parameter.when or {}}
    owners: dict[str, list[str]] = {}
    for name, parameter in space.parameters.items():
        where = f"{space.source}: space.{name}.key"
        if parameter.key is None:
            if name not in used_in_conditions:
                raise SpaceError(
                    f'{where}: missing, and no `when` refers to {name}, so it has no effect; add key = "section.key"'
                )
            continue
        _check_key(space, parameter.key, where)
        if parameter.key == "training.precision" and parameter.can_be("auto"):
            raise SpaceError(f'{space.source}: space.{name}: "auto" stands for another choice; remove it')
        owners.setdefault(parameter.key, []).append(name)
    for head in (key for key, is_list in model_keys(space.families).items() if is_list):
        fixed = space.fixed.get("model", {}).get(head, [])
        if (
            isinstance(fixed, list)
            and fixed
            and all(f"model.{head}.{number}" in owners for number in range(1, len(fixed) + 1))
        ):
            raise SpaceError(f"{space.source}: model.{head}: every item varies in [space]; remove the fixed list")
    for key, names in owners.items():
        if len(names) > 1 and any(space.parameters[name].when is None for name in names):
            raise SpaceError(
                f"{space.source}: space.{names[1]}.key: {key} is varied by {names[0]} too; "
                "remove one, or condition both with when"
            )


def _check_key(space: Space, key: str, where: str) -> None:
    section, _, name = key.partition(".")
    head, _, rest = name.partition(".")
    keys = section_keys(space.families)
    if head not in keys.get(section, ()):
        known = (
            f"{section} has {', '.join(keys[section])}"
            if section in keys
            else f"the sections are {', '.join(SECTIONS)}"
        )
        meant = meant_key(key, space.families)
        raise SpaceError(f'{where}: "{key}" is not a config key{meant or f"; {known}"}')
    if key == "model.builder":
        raise SpaceError(f"{where}: a builder cannot vary; vary its model.options.NAME")
    if key == "training.metrics":
        raise SpaceError(f"{where}: all trials have the same metrics; list them in [training]")
    if rest and section == "model" and model_keys(space.families)[head]:
        if not re.fullmatch("[1-9][0-9]{0,3}", rest):
            raise SpaceError(f'{where}: "{key}" must end in a number from 1; model.{head}.1 is the first layer')
        return
    if head != OPTIONS and rest:
        raise SpaceError(f'{where}: "{key}" goes too deep; use "{section}.{head}"')
    if head == OPTIONS and not rest:
        raise SpaceError(f'{where}: specify an option, as in "{section}.options.width"')
    given = space.fixed.get(section, {})
    if option_is_set(given.get("options", {}), rest) if rest else (head in given):
        raise SpaceError(f"{where}: {key} is fixed in [{section}] too; remove it there or here")


def _check_configs(space: Space) -> None:
    """Resolve every pair of extreme values (low, high, each choice), to report before training what cannot be built."""
    num_corners = sum(len(parameter.extremes()) for parameter in space.parameters.values())
    if num_corners > MOST_CORNERS:
        raise SpaceError(
            f"{space.source}: space: {num_corners} choices and ends of ranges, of which at most {MOST_CORNERS} "
            "can be checked; use ranges for choices, or fix some"
        )
    for params in extreme_params(space.parameters):
        _check_set_once(space, params)
        try:
            config = space.resolve(params, seed=0)
            _check_runs(space, config)
        except SpaceError as error:
            if all(_problem(space, other) == str(error) for other in extreme_params(space.parameters)):
                raise  # it is in what is fixed
            shown = ", ".join(f"{name}={value}" for name, value in params.items())
            raise SpaceError(f"{error} (with {shown})") from None
        if config.data.user_code is not None and "name" not in space.fixed.get("data", {}):
            raise SpaceError(f"{space.source}: data.name: a custom data source cannot vary; vary its data.options.NAME")
        if config.data.train_on != "train":
            raise SpaceError(f'{space.source}: data.train_on: a sweep scores on the validation part; use "train"')
        if config.data.validation != "split":
            raise SpaceError(f'{space.source}: data.validation: a sweep never reads the test set; use "split"')


def _problem(space: Space, params: Params) -> str | None:
    try:
        _check_runs(space, space.resolve(params, seed=0))
    except SpaceError as error:
        return str(error)
    return None


def _check_runs(space: Space, config: TrialConfig) -> None:
    if space.study.cross_validation and config.data.num_folds is not None:
        raise SpaceError(f"{space.source}: data.num_folds: study.cross_validation sets it; remove one of them")
    try:
        space.plan.runs(config)
    except ValidationError as error:
        raise SpaceError(f"{space.source}: study.cross_validation: {first_problem(error, 'data')}") from None


def _check_set_once(space: Space, params: Params) -> None:
    """A key and one inside it (`model.filters`, `model.filters.1`) are set twice, too."""
    owners = {name: space.parameters[name].key for name in active_parameters(space.parameters, params)}
    keyed = {name: key for name, key in owners.items() if key is not None}
    for (one, key), (other, inner) in itertools.permutations(keyed.items(), 2):
        if inner == key or inner.startswith(f"{key}."):
            raise SpaceError(f"{space.source}: space.{other}.when: {one} sets {key} under the same conditions")


def check_data(space: Space, image_shape: ImageShape, class_names: Sequence[str]) -> None:
    """Raise SpaceError if some config does not fit the data.

    Args:
        space: The space.
        image_shape: Height, width and channels of the images.
        class_names: Names of class 0, 1, ...
    """
    check_feature_maps(space, image_shape)
    for config in space.extreme_configs():
        if isinstance(config.training.class_weight, dict):
            try:
                weights_by_class(config.training.class_weight, class_names)
            except SpaceError as error:
                raise SpaceError(f"{space.source}: {error}") from None


def check_feature_maps(space: Space, image_shape: ImageShape) -> None:
    """Raise SpaceError if the network of some config would shrink images of this shape to nothing."""
    shape_keys = {f"model.{key}" for config in space.extreme_configs() for key in config.model.shape_keys}
    conditions = {name for parameter in space.parameters.values() for name in parameter.when or {}}
    shaping = [name for name, one in space.parameters.items() if one.key in shape_keys or name in conditions]
    for params in combined_params(space.parameters, shaping):
        config = space.resolve(params, seed=0)
        try:
            config.model.check_images(image_shape)
        except SpaceError as error:
            size = "x".join(map(str, image_shape))
            raise SpaceError(f"{space.source}: {error} for images of {size} (height, width, channels)") from None
