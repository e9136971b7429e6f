"""`training.class_weight`: how much an image of each class counts in the training loss."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from sweep.errors import SpaceError
from sweep.spelling import did_you_mean

BALANCED: Literal["balanced"] = "balanced"
WeightTable = Annotated[dict[str, Annotated[float, Field(ge=0)]], Field(min_length=1)]


def weights_by_class(table: Mapping[str, float], class_names: Sequence[str]) -> list[float]:
    """Return the weight of class 0, 1, ...; a class that the table does not have weighs 1, as in Keras.

    Args:
        table: Weights by the class's name, or its number where no class has that name.
        class_names: The names of class 0, 1, ...

    Raises:
        SpaceError: There is no such class, or a class is given twice.
    """
    weights = dict.fromkeys(range(len(class_names)), 1.0)
    given: dict[int, str] = {}
    for key, weight in table.items():
        number = _number_of(key, class_names)
        if number in given:
            raise SpaceError(f'training.class_weight: "{given[number]}" and "{key}" are the same class; remove one')
        given[number], weights[number] = key, weight
    return [*weights.values()]


def _number_of(key: str, class_names: Sequence[str]) -> int:
    if key in class_names:
        return class_names.index(key)
    if key.isdecimal() and int(key) < len(class_names):
        return int(key)
    meant = did_you_mean(key, class_names) or f"; use a name or a number from 0 to {len(class_names) - 1}"
    raise SpaceError(f'training.class_weight: there is no class "{key}"{meant}')
