"""`FunctionConfig`: one call of an objective that is a plain function. A training run has `TrialConfig`."""

from typing import Annotated, Any

from pydantic import Field

from sweep.config.section import Section
from sweep.config.trial import TrialConfig


class FunctionConfig(Section):
    """`function(**params)` gives `num_values` numbers. Python's and NumPy's global generators start from `seed`."""

    function: str  # a built-in name, or `module:function`
    params: dict[str, Any]
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    num_values: Annotated[int, Field(ge=1)] = 1
    suggested: dict[str, Any] = Field(default_factory=dict)  # that the function asks its trial for, if they are known
    number: Annotated[int, Field(ge=0)] = 0  # of the trial, for a function that takes one

    def values(self) -> dict[str, Any]:
        """Plain values (JSON kinds)."""
        return self.model_dump(mode="json")


RunConfig = TrialConfig | FunctionConfig  # of one run on a lane


def run_config(values: dict[str, Any], source: str) -> RunConfig:
    """The config whose `values` these are; SpaceError, opened by `source`, if it is none."""
    if "function" in values:
        return FunctionConfig.model_validate(values)
    return TrialConfig.from_values(values, source)


def value_names(num_values: int) -> tuple[str, ...]:
    """The metrics of a function with so many values.

    >>> value_names(1), value_names(2)
    (('value',), ('values_0', 'values_1'))
    """
    return ("value",) if num_values == 1 else tuple(f"values_{number}" for number in range(num_values))
