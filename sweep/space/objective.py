"""What `[study]` says of the objectives: metrics of the training, or a function; and which way each is better."""

import re
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from sweep.config.function import value_names
from sweep.config.section import Section
from sweep.metrics import METRICS, Direction, direction_of
from sweep.space.functions import BUILT_IN, OWN_FUNCTION


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Metrics = Annotated[tuple[Annotated[str, METRICS], ...], BeforeValidator(_as_tuple), Field(min_length=1)]
Directions = Annotated[tuple[Direction, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


class ObjectiveSection(Section):
    """One objective is a `metric` with a `direction`, several are `metrics` with `directions`; or a `function`.

    A function's values have no metrics to choose from: `directions` says how many there are.
    """

    metric: Annotated[str, METRICS] | None = None
    """Metric to optimize. Default: val_accuracy."""
    metrics: Metrics | None = None
    """Metrics to optimize in a multi-objective study. Default: the `metric` alone."""
    direction: Direction | None = None
    """Whether higher or lower values are better. Default: as the metric is."""
    directions: Directions | None = None
    """Direction of each of the `metrics`. Default: as each metric is."""
    function: str | None = None
    """Objective function instead of a training: `beale`, or `module:function`. Default: none, models are trained."""

    @model_validator(mode="after")
    def _one_way_of_saying(self) -> Self:
        for one, several in (("metric", "metrics"), ("direction", "directions")):
            if getattr(self, one) is not None and getattr(self, several) is not None:
                raise ValueError(f"{one} and {several} exclude each other; remove one")
        if self.function is not None:
            self._check_function(self.function)
        else:
            self._check_metrics()
        return self

    def _check_function(self, function: str) -> None:
        if function not in BUILT_IN and not re.fullmatch(OWN_FUNCTION, function):
            known = ", ".join(BUILT_IN)
            raise ValueError(f'function "{function}" is unknown; use {known}, or "my_module:my_function"')
        for key in ("metric", "metrics"):
            if getattr(self, key) is not None:
                raise ValueError(f"{key} has no effect with a function, whose metric is its value; remove it")

    def _check_metrics(self) -> None:
        metrics = self.sought_metrics
        for metric in metrics:
            problem = METRICS.problem(metric)
            if problem is not None:
                raise ValueError(f"metric {problem}")
        if len(set(metrics)) < len(metrics):
            raise ValueError("a metric is given twice in metrics; remove one")
        if self.directions is not None and len(self.directions) != len(metrics):
            raise ValueError(f"directions: {len(self.directions)} for {len(metrics)} of metrics; name one for each")
        if self.direction is not None and len(metrics) > 1:
            raise ValueError("direction is for a single metric; use directions, one for each of the metrics")
        unknown = [metric for metric in metrics if direction_of(metric) is None]
        if unknown and self.direction is None and self.directions is None:
            key = "directions is missing: for each of the metrics" if len(metrics) > 1 else "direction is missing:"
            raise ValueError(f'{key} write "maximize" or "minimize", as {unknown[0]} is better higher or lower')

    @property
    def sought_metrics(self) -> tuple[str, ...]:
        """Return the metric of each objective."""
        if self.function is not None:
            return value_names(len(self.sought_directions))
        return self.metrics or (self.metric or "val_accuracy",)

    @property
    def sought_directions(self) -> tuple[Direction, ...]:
        """Return the direction of each objective: the file's, else the metric's, or `minimize` for a function."""
        if self.directions is not None:
            return self.directions
        if self.direction is not None:
            return (self.direction,)
        if self.function is not None:
            return ("minimize",)
        return tuple(direction for metric in self.sought_metrics if (direction := direction_of(metric)) is not None)

    def record(self) -> dict[str, Any]:
        """Return plain values that are stored and compared; further objectives are next to the first."""
        metrics, directions = self.sought_metrics, self.sought_directions
        several = {"metrics": [*metrics], "directions": [*directions]} if len(metrics) > 1 else {}
        function = {} if self.function is None else {"function": self.function}
        return {"metric": metrics[0], "direction": directions[0], **several, **function}


def stored_objectives(record: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of `[study]` that result in this `record`, which may have more."""
    keys = ("metrics", "directions") if "directions" in record else ("metric", "direction")
    if "function" in record:
        keys = ("function", keys[1])
    return {key: record[key] for key in keys}
