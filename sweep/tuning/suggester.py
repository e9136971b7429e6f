"""Suggest parameters to a user's function while it runs: define-by-run, as in plain Optuna.

Each value is stored before the function receives it, so that a repeated trial gets the same params. Params that a
sampler draws jointly (`sample_relative`) are drawn by `ask` and stored (`RELATIVE`). Each param that it draws
independently has its own seed, derived from study, trial and number of params so far. So a resumed study draws the same
params as an uninterrupted one.
"""

import warnings
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
)
from optuna.trial import FrozenTrial

from sweep.engines.base import Answer, Suggestion
from sweep.storage.optuna_internals import contains, forget_cached_trials, study_seen_by_sampler
from sweep.text import error_line
from sweep.tuning.study import SweepStudy
from sweep.tuning.transactions import Transactions

RELATIVE = "sweep:relative"  # system attribute of a trial: params that the sampler drew jointly
KINDS: dict[str, Any] = {"float": FloatDistribution, "int": IntDistribution, "categorical": CategoricalDistribution}


def note_relative_params(study: SweepStudy, trial: optuna.Trial) -> None:
    """Store the params that the sampler draws jointly, inside the draft that asks for the trial."""
    relative = trial.relative_params
    if relative:
        study.write_behind.set_trial_system_attr(trial.number, RELATIVE, relative)


class Suggester:
    """Sample single parameters of running trials by the study's sampler.

    Args:
        study: The study.
        transactions: Writes the params.
    """

    def __init__(self, study: SweepStudy, transactions: Transactions) -> None:
        self._study, self._transactions = study, transactions

    def answer(self, number: int, asked: Suggestion) -> Answer:
        """Suggest and store a parameter.

        Args:
            number: Number of the trial.
            asked: The requested name and distribution.

        Returns:
            The value, or an error if the request is invalid or the trial has ended.
        """
        try:
            distribution = _distribution(asked)
            stored = self._stored(number, asked.name, distribution)
            return stored or self._transactions.draft(lambda: self._suggest(number, asked.name, distribution))
        except (ValueError, TypeError) as error:
            return Answer(error=error_line(error))

    def _stored(self, number: int, name: str, distribution: BaseDistribution) -> Answer | None:
        """Return the stored value of a repeated trial, None if there is none.

        Raises:
            ValueError: The distribution is incompatible with that of other trials.
        """
        storage = self._study.write_behind
        known = storage.known_distributions(0).get(name)
        if known is not None:
            check_distribution_compatibility(known, distribution)
        trial = storage.get_trial(number)
        return Answer(trial.params[name]) if name in trial.params else None

    def _suggest(self, number: int, name: str, distribution: BaseDistribution) -> Answer:
        storage = self._study.write_behind
        if storage.get_trial(number).state.is_finished():  # another program has finished it
            return Answer(error="the trial has ended")
        value = self._sample(storage.get_trial(number), name, distribution)
        storage.set_trial_param(number, name, distribution.to_internal_repr(value), distribution)
        return Answer(storage.get_trial(number).params[name])

    def _sample(self, trial: FrozenTrial, name: str, distribution: BaseDistribution) -> Any:
        """Sample as Optuna's `Trial` does: an enqueued value, the only one, a jointly drawn or an independent one."""
        fixed, relative = trial.system_attrs.get("fixed_params", {}), trial.system_attrs.get(RELATIVE, {})
        if name in fixed:
            return fixed[name]
        if distribution.single():
            return getattr(distribution, "choices", [getattr(distribution, "low", None)])[0]
        if name in relative and contains(distribution, distribution.to_internal_repr(relative[name])):
            return relative[name]
        sampler = self._study.sampler_of(trial.number, len(trial.params) + 1)
        self._study.sampler = sampler
        forget_cached_trials(self._study)
        return sampler.sample_independent(study_seen_by_sampler(self._study, trial), trial, name, distribution)


def _distribution(asked: Suggestion) -> BaseDistribution:
    values = dict(asked.distribution)
    kind = KINDS[values.pop("type")]
    with warnings.catch_warnings():  # Optuna warns if a bound is not a multiple of the step
        warnings.simplefilter("ignore")
        found: BaseDistribution = kind(**values)
    return found
