"""The runs of a trial, and their seeds: a trial trains its config once, or several times and is scored by the mean.

`repeats` are runs from several seeds, `cross_validation` runs with each fold of the data as the validation part; of
both, every seed is trained on every fold. What only a run has (its fold, its seed) is in no config that is exported.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean
from typing import Any

import numpy as np

from sweep.config.data import DataConfig
from sweep.config.trial import TrialConfig


@dataclass(frozen=True)
class RunPlan:
    """How often a trial's config is trained."""

    repeats: int | None = None
    cross_validation: int | None = None

    @property
    def num_runs(self) -> int:
        """Return the number of runs of each trial."""
        return (self.repeats or 1) * (self.cross_validation or 1)

    def runs(self, config: TrialConfig) -> tuple[TrialConfig, ...]:
        """Return the configs to train, in order. Raise pydantic's ValidationError if the data cannot have folds."""
        seeds = seeds_from(config.training.seed, self.repeats or 1)
        folds = range(1, self.cross_validation + 1) if self.cross_validation else (None,)
        return tuple(_run(config, seed, fold, self.cross_validation) for seed, fold in product(seeds, folds))


def trial_values(values: Sequence[Sequence[float]]) -> list[float]:
    """Return the mean over all runs, for each objective."""
    return [fmean(column) for column in zip(*values, strict=True)]


def derived_seed(seed: int, number: int) -> int:
    """Return a 31-bit seed from (study seed, trial number), by NumPy's SeedSequence."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)


def seeds_from(first: int, num_seeds: int) -> list[int]:
    """Return the config's own seed, then seeds derived from it; the first n are the same for every larger number."""
    return [first, *(derived_seed(first, number) for number in range(1, num_seeds))]


def with_seed(config: TrialConfig, seed: int) -> TrialConfig:
    """Return the same config with another training seed."""
    return config.model_copy(update={"training": config.training.model_copy(update={"seed": seed})})


def with_fresh_seed(config: TrialConfig, seed: int) -> TrialConfig:
    """Return the same config with all random numbers new, including initial weights with a seed of their own."""
    training = config.training.model_copy(update={"seed": seed, "weights_seed": None})
    return config.model_copy(update={"training": training})


def _run(config: TrialConfig, seed: int, fold: int | None, num_folds: int | None) -> TrialConfig:
    if fold is None:
        return with_seed(config, seed)
    given: dict[str, Any] = config.data.model_dump(exclude_unset=True)
    data = DataConfig.model_validate({**given, "num_folds": num_folds, "fold": fold})
    return with_seed(config.model_copy(update={"data": data}), seed)
