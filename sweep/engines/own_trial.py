"""The `trial` of a user's own training loop: what of an Optuna trial a loop uses, answered by the sweep."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from sweep.config.function import FunctionConfig, value_names
from sweep.engines.base import Ending, EpochRecord, OwnReport, Suggestion
from sweep.engines.suggesting import Suggesting
from sweep.errors import FAILURE_ATTRS

TAKEN = ("seed", "history", "code", *FAILURE_ATTRS)  # user attributes of a trial that are the sweep's own


class Pruned(Exception):
    """Ends a loop where Optuna is not loaded."""


def pruned_error() -> type[Exception]:
    """Return `optuna.TrialPruned`, which a loop may catch, where Optuna is loaded."""
    return getattr(sys.modules.get("optuna"), "TrialPruned", Pruned)


class OwnTrial(Suggesting):
    """A trial whose reports the sweep stores, and whose pruner is asked by `should_prune`, as in Optuna.

    Attributes:
        number: Number of the trial in the study.
        params: Values of the parameters by name, those that were suggested so far included.
        seed: Seed of the trial; Python, NumPy and, where they are imported, Keras and PyTorch start from it.
        user_attrs: User attributes that this call has set.
    """

    def __init__(
        self, config: FunctionConfig, hand_over: Callable[[EpochRecord], bool], ask: Callable[[Suggestion], Any]
    ) -> None:
        """Create the trial of a run.

        Args:
            config: Of the run.
            hand_over: Takes each record and returns whether the trial is pruned.
            ask: Returns the value of a parameter.

        """
        self.number, self.seed = config.number, config.seed
        self.params = {**config.params, **config.suggested}
        self.user_attrs: dict[str, Any] = {}
        self._ask = ask
        self._metrics, self._hand_over = value_names(config.num_values), hand_over
        self._waiting: tuple[int, dict[str, float]] | None = None  # the last report, while the pruner may be asked
        self._steps: set[int] = set()
        self._num_records = 0
        self._new_attrs: dict[str, Any] = {}
        self._is_pruned = False
        self._since = time.perf_counter()

    def report(self, value: float, step: int, logs: Mapping[str, float] | None = None) -> None:
        """Report the value of a step, such as an epoch. A second value of the same step is ignored, as in Optuna.

        Args:
            value: The value, of which a pruner takes the last one.
            step: Any integer that is not negative.
            logs: Further metrics of the step by name, for learning curves.

        Raises:
            NotImplementedError: The study is multi-objective.
            optuna.TrialPruned: The trial was pruned before.
            TypeError: A value is not a number.
            ValueError: The step is negative.
        """
        self._check_single("report")
        step, values = int(step), {**_numbers(logs or {}), self._metrics[0]: float(value)}
        if step < 0:
            raise ValueError(f"step must be 0 or a positive integer, got {step}")
        if self._is_pruned:
            raise pruned_error()(f"trial {self.number} was pruned before step {step}")
        self.flush()
        if step not in self._steps:
            self._steps.add(step)
            self._waiting = step, values

    def should_prune(self) -> bool:
        """Return whether the pruner prunes the trial after the last report."""
        self._check_single("should_prune")
        self.flush(asks=True)
        return self._is_pruned

    def set_user_attr(self, key: str, value: Any) -> None:
        """Set a user attribute of the trial, which is stored with its next report or its end.

        Args:
            key: Its name.
            value: A value that JSON can express.

        Raises:
            ValueError: The name is one of the sweep's own attributes.
            TypeError: JSON cannot express the value.
        """
        if key in TAKEN or key.startswith("sweep:"):
            raise ValueError(f'"{key}" is an attribute that the sweep sets; use another name')
        json.dumps(value)
        self.user_attrs[key] = self._new_attrs[key] = value

    def keras_callback(self, monitor: str = "val_accuracy") -> Any:
        """Return a Keras callback that reports a metric after each epoch and stops the training of a pruned trial.

        Args:
            monitor: Name of the metric in the logs of an epoch.
        """
        from sweep.engines.reporting_callback import OwnLoopCallback

        return OwnLoopCallback(self, monitor)

    def _suggest(self, name: str, distribution: dict[str, Any]) -> Any:
        if name not in self.params:
            self.params[name] = self._ask(Suggestion(name, distribution))
        return self.params[name]

    def __getattr__(self, name: str) -> Any:
        """Only called for what is missing."""
        raise AttributeError(f"the trial of a sweep has no attribute {name}; it has those of sweep's own-loop page")

    def flush(self, *, asks: bool = False) -> None:
        """Hand over the report that waits, if any; with `asks`, learn whether the trial is pruned after it."""
        if self._waiting is not None:
            (step, values), self._waiting = self._waiting, None
            own = OwnReport(step, asks, attrs=self._take_attrs())
            self._is_pruned = self._hand_over(EpochRecord(self._next(), values, self._seconds(), own=own))

    def ended(self, ending: Ending, values: Mapping[str, float]) -> EpochRecord:
        """Return the record that ends the run: the values that the function returned, none if it pruned itself."""
        number = self._next()
        own = OwnReport(ending=ending, attrs=self._take_attrs())
        return EpochRecord(number, dict(values), self._seconds(), is_last=True, best_epoch=number, own=own)

    def _check_single(self, method: str) -> None:
        if len(self._metrics) > 1:
            raise NotImplementedError(f"trial.{method}: Optuna does not prune multi-objective studies; remove the call")

    def _next(self) -> int:
        self._num_records += 1
        return self._num_records

    def _take_attrs(self) -> dict[str, Any]:
        attrs, self._new_attrs = self._new_attrs, {}
        return attrs

    def _seconds(self) -> float:
        before, self._since = self._since, time.perf_counter()
        return self._since - before


def _numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """Those of the logs that are numbers; Keras's also have arrays, of metrics per class."""
    return {name: float(value) for name, value in logs.items() if isinstance(value, Real)}
