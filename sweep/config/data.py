"""`[data]`: which images, how they are split and scaled."""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from sweep.config.section import Fraction, Options, Positive, Section
from sweep.errors import SpaceError
from sweep.plugins.registry import Registry, one_per_module
from sweep.spelling import did_you_mean

DEFAULT_VALIDATION_SPLIT = 0.2
SOURCES: Registry[Callable[..., Any]] = Registry(
    kind="data source", key="data.name", group="sweep.sources", built_in=one_per_module("sweep.data.sources", "load")
)


def check_arguments(source: Callable[..., Any], name: str, arguments: Mapping[str, Any]) -> None:
    """What a source reads is what its parameters say.

    Raises:
        ValueError: One of these it does not take, or one that it needs is not among them.
    """
    try:
        parameters = inspect.signature(source).parameters.values()
    except ValueError:  # of some functions in C
        return
    taken = {one.name: one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters)
    strange = next((key for key in arguments if key not in taken and not takes_all), None)
    if strange is not None:
        meant = did_you_mean(_shown(strange), map(_shown, taken)) or "; remove it or change name"
        raise ValueError(f"{_shown(strange)} has no effect: {name} has no such parameter{meant}")
    missing = next((key for key, one in taken.items() if one.default is one.empty and key not in arguments), None)
    if missing is not None:
        raise ValueError(f"{name} needs {_shown(missing)}; add it")


def _shown(argument: str) -> str:
    return argument if argument == "path" else f"options.{argument}"


class DataConfig(Section):
    """Which images, how they are split and scaled. Counts are images; fractions are of what is split."""

    name: Annotated[str, SOURCES] = "digits"
    """Data source; a function of your own returns `sweep.data.Arrays`."""
    path: str | None = None
    """File or folder of the source; relative to the file that names it."""
    options: Options = Field(default_factory=dict)
    """Keyword arguments of the source."""
    test_fraction: Fraction = 0.2
    """Fraction of the images that become the test set, if the source has none."""
    validation_split: Fraction = DEFAULT_VALIDATION_SPLIT
    """Fraction of the remaining images that become the validation set, if the source has none."""
    num_train: Positive | None = None
    """Number of training images, stratified. Default: all."""
    num_validation: Positive | None = None
    """Number of validation images instead of `validation_split`."""
    validation: Literal["split", "test"] = "split"
    """`split`: validate on a part of the training data. `test`: on the test set, for a retrain only."""
    num_folds: Annotated[int, Field(ge=2, lt=2**31)] | None = None
    """Number of cross-validation folds. Default: no folds."""
    fold: Positive | None = None
    """Which of the `num_folds` folds is the validation set, from 1."""
    split_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of the splits."""
    scaling: Literal["unit", "standard", "none"] = "unit"
    """`unit`: x / 255 for bytes, else x / max |x|. `standard`: zero mean, unit variance of each pixel. `none`: x."""
    train_on: Literal["train", "train+validation"] = "train"
    """`train+validation` trains on both, without a validation set, for a retrain."""

    def __hash__(self) -> int:
        """Of equal configs equal, whatever the order of their options."""
        return hash(json.dumps(self.model_dump(), sort_keys=True))

    @property
    def user_code(self) -> str | None:
        """`module:attribute` of a source that is not ours; None of one of ours."""
        return SOURCES.code_of(self.name)

    def values(self) -> dict[str, Any]:
        """Plain values (JSON kinds) of what was given."""
        return self.model_dump(mode="json", exclude_unset=True, exclude_none=True)

    @property
    def arguments(self) -> dict[str, Any]:
        """What the source is called with, by keyword."""
        return {**self.options, **({} if self.path is None else {"path": self.path})}

    @field_validator("name")
    @classmethod
    def _name_is_known(cls, name: str) -> str:
        if name.endswith((".npz", ".npy")):
            raise ValueError(f'a file is given by name = "npz" and path = "{name}"')
        try:
            SOURCES.check(name)
        except SpaceError as error:
            raise ValueError(str(error).removeprefix(f"{SOURCES.key}: ")) from None
        return name

    @model_validator(mode="after")
    def _source_takes_what_is_given(self) -> Self:
        """Of a source of ours. One of the user's is not imported before it is needed."""
        if "path" in self.options:
            raise ValueError("options.path: path is a key of [data] itself; move it there")
        if self.model_fields_set & {"name", "path", "options"} and self.user_code is None:
            check_arguments(SOURCES.get(self.name), self.name, self.arguments)
        return self

    @model_validator(mode="after")
    def _keys_fit_together(self) -> Self:
        if self.validation == "test" and self.train_on != "train":
            raise ValueError('validation = "test" has no validation part, so train_on = "train" is all the rest')
        if (self.fold is None) != (self.num_folds is None) or (self.fold or 0) > (self.num_folds or 0):
            raise ValueError("fold = 1 to num_folds; give both or neither")
        return self

    @model_validator(mode="after")
    def _validation_part_is_said_once(self) -> Self:
        if self.validation == "test" and self.num_folds is not None:
            raise ValueError('folds have no effect with validation = "test"; remove one of them')
        for key in ("num_validation", "validation_split"):
            is_given = key in self.model_fields_set and getattr(self, key) not in (None, DEFAULT_VALIDATION_SPLIT)
            if is_given and self.num_folds is not None:
                raise ValueError(f"{key} has no effect: a fold is the validation part; remove it")
            if is_given and self.validation == "test":
                raise ValueError(f'{key} has no effect with validation = "test"; remove it')
        return self
