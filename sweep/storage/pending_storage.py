"""Implement Optuna's writing methods: they change the study in memory and collect what a transaction writes."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from sweep.errors import StudyError
from sweep.storage import rows
from sweep.storage.digest import TRAINED_BY_SWEEP
from sweep.storage.memory import StudyMemory
from sweep.storage.pending_rows import PendingRows


class PendingStorage(StudyMemory):
    """A study in memory whose changes are pending until a transaction writes them.

    Attributes are stored as JSON decodes them, so that samplers see the same values before and after a resume.
    """

    def __init__(self, study_name: str) -> None:
        super().__init__(study_name)
        self._pending: PendingRows | None = None  # only inside a transaction
        self.is_out_of_step = False

    @property
    def num_trials(self) -> int:
        """Number of trials of any state, which is the next trial's number."""
        return len(self.row_ids) + (len(self._pending.new_trials) if self._pending is not None else 0)

    @contextmanager
    def _collecting(self) -> Iterator[None]:
        """Collect what the body writes. Raise StudyError if the memory is ahead of the database."""
        if self.is_out_of_step:
            raise StudyError(
                "the study in memory is ahead of its database after an error; run the same command to resume"
            )
        self._pending = PendingRows()
        try:
            yield
        finally:
            self._pending = None

    def _to_write(self) -> PendingRows:
        if self._pending is None:
            raise StudyError("only the sweep writes its study; callbacks, builders and functions can read it")
        return self._pending

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        pending, text = self._to_write(), json.dumps(value)
        super().set_study_user_attr(study_id, key, json.loads(text))
        pending.add_attr(rows.STUDY_USER_ATTRS, None, key, text)

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        pending, text = self._to_write(), json.dumps(value)
        super().set_study_system_attr(study_id, key, json.loads(text))
        pending.add_attr(rows.STUDY_SYSTEM_ATTRS, None, key, text)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Create a RUNNING trial; by a template, one that waits or is finished."""
        pending = self._to_write()
        number = super().create_new_trial(study_id, template_trial)
        trial = self.get_trial(number)
        if trial.state.is_finished():
            self.finished_numbers.append(number)
        else:
            self.open_numbers.add(number)
        pending.new_trials.append(trial)
        if template_trial is not None:
            pending.add_content(trial)
            pending.add_state(trial)
        return number

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Set the value as Optuna would return it: if 2.5 is enqueued for an integer, 2 is stored."""
        pending = self._to_write()
        stored = distribution.to_internal_repr(distribution.to_external_repr(param_value_internal))
        super().set_trial_param(trial_id, param_name, stored, distribution)
        pending.add_param(trial_id, param_name, stored, distribution)

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        pending = self._to_write()
        was_waiting = self.get_trial(trial_id).state == TrialState.WAITING
        if not super().set_trial_state_values(trial_id, state, values):
            return False
        if state.is_finished():
            self.count_as_finished(trial_id)
        if was_waiting:
            pending.add_content(self.get_trial(trial_id))
        pending.add_state(self.get_trial(trial_id))
        return True

    def set_trial_intermediate_value(self, trial_id: int, step: int, intermediate_value: float) -> None:
        pending = self._to_write()
        super().set_trial_intermediate_value(trial_id, step, intermediate_value)
        pending.add_intermediate_value(trial_id, step, intermediate_value)

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        pending, text = self._to_write(), json.dumps(value)
        super().set_trial_user_attr(trial_id, key, json.loads(text))
        if key == TRAINED_BY_SWEEP:
            self.own_numbers.add(trial_id)
        pending.add_attr(rows.TRIAL_USER_ATTRS, trial_id, key, text)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        pending, text = self._to_write(), json.dumps(value)
        super().set_trial_system_attr(trial_id, key, json.loads(text))
        pending.add_attr(rows.TRIAL_SYSTEM_ATTRS, trial_id, key, text)
