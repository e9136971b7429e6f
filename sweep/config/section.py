"""What every part of a config has in common: strict kinds, one-line problems."""

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from sweep.config.plain_values import short_repr
from sweep.spelling import NONE, did_you_mean

Fraction = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(ge=1, lt=2**31)]
IntList = Annotated[
    tuple[Positive, ...], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
]


def _json(options: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(options, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise ValueError(f"must be JSON values, as they are stored with the study: {error}") from None
    return options


Options = Annotated[dict[str, Any], AfterValidator(_json)]  # for code of the user's
NO_VALUE = ("none", "None", "off")  # these leave a key out whose default is off


class Section(BaseModel):
    """A part of a config: unknown keys, wrong kinds, NaN and infinity are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_is_off(cls, values: Any) -> Any:
        """TOML has no null: `patience = "none"` is the same as no line."""
        if not isinstance(values, dict):
            return values
        return {key: value for key, value in values.items() if not (value in NO_VALUE and cls.may_be_off(key, value))}

    @classmethod
    def may_be_off(cls, key: str, text: Any) -> bool:
        """Whether the key's default is off (None, 0 or false), and the text is none of its values."""
        field = cls.model_fields.get(key)
        if field is None or field.default not in (None, 0, False):
            return False
        kinds = [kind for one in get_args(field.annotation) for kind in (one, *get_args(one))]
        return text not in kinds and str not in kinds and field.annotation is not str


def first_problem(
    error: ValidationError, section: str = "", known: Iterable[str] = (), others: Mapping[str, str] = NONE
) -> str:
    """The first problem of a pydantic error as `section.key: what is wrong (what was given)`.

    Args:
        error: What pydantic raised.
        section: Opens the key.
        known: The keys that there are, from which the one that was probably meant is named.
        others: Further spellings of them.
    """
    problem = error.errors()[0]
    key = ".".join(str(part) for part in (section, *problem["loc"]) if part != "")
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        meant = did_you_mean(key, known, others)
        message = f"unknown key{meant or '; remove it or correct its spelling'}"
    elif problem["type"] == "missing":
        message = "missing; add it"
    elif problem["type"] != "value_error":
        message += f" (got {short_repr(problem['input'])})"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{key}: {message}{more}" if key else f"{message}{more}"
