"""Define the storage of the dashboard, which checks what the pages write.

optuna-dashboard writes whatever a page sends, such as three values for a single objective, which makes the trial
unusable. Such a request is answered with an HTTP status and a reason, as optuna-dashboard answers its own errors.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from bottle import HTTPError
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from sweep.errors import StudyError
from sweep.storage import LiveStorage
from sweep.storage.digest import OWN_TRIAL_ATTRS, is_ours
from sweep.storage.set_aside import values_problem

BAD_REQUEST, NOT_FOUND, CONFLICT, SERVER_ERROR = 400, 404, 409, 500


class DashboardStorage(LiveStorage):
    """A `LiveStorage` that raises bottle's `HTTPError` for invalid requests."""

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Set the state. Respond with 400 for invalid values, 404 without such a trial, 409 if it is finished."""
        with _in_status_codes():
            num_objectives = len(self.get_study_directions(self.study_of(trial_id)))
            problem = values_problem(state, values, num_objectives)
            if problem is not None:
                raise HTTPError(BAD_REQUEST, f"the trial would be {problem}")
            if not super().set_trial_state_values(trial_id, state, values):
                raise HTTPError(CONFLICT, "the trial is already finished")
        return True

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Set the attribute. Respond with 400 for one of those that sweep stores with its trials."""
        with _in_status_codes():
            if key in OWN_TRIAL_ATTRS and is_ours(self.get_trial(trial_id)):
                raise HTTPError(BAD_REQUEST, f"{key} is an attribute of the sweep; choose another name")
            super().set_trial_user_attr(trial_id, key, value)

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return the name of a study. Respond with 404 if there is no such study."""
        with _in_status_codes():
            return super().get_study_name_from_id(study_id)

    def on_damage(self, error: StudyError) -> None:
        """Respond with 500 and the reason, which the page shows instead of the trials."""
        raise HTTPError(SERVER_ERROR, str(error))


@contextmanager
def _in_status_codes() -> Iterator[None]:
    try:
        yield
    except KeyError:
        raise HTTPError(NOT_FOUND, "there is no study or trial with this id") from None
    except UpdateFinishedTrialError as error:
        raise HTTPError(CONFLICT, str(error)) from None
