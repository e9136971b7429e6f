"""A study as it is stored, read once: its settings, its space, its trials and its confirmation."""

from collections.abc import Sequence
from functools import cached_property

import optuna
from optuna.trial import FrozenTrial

from sweep.config.study_settings import SETTINGS, StudySettings, read_settings
from sweep.plugins.users_code import UsersCode
from sweep.results.confirmation import Confirmation, read_confirmation
from sweep.space.file import stored_family_code, stored_space
from sweep.space.space import Space
from sweep.storage.stored_trials import section


class StoredStudy:
    """What is read of a study by those that use its trials: `export`, `confirm`, the Python API.

    Args:
        study: As `read_study` gives it.
    """

    def __init__(self, study: optuna.Study) -> None:
        self.study = study

    @property
    def name(self) -> str:
        """The study's."""
        return self.study.study_name

    @cached_property
    def settings(self) -> StudySettings:
        """What decides its trials. StudyError if it was not made by sweep."""
        return read_settings(self.study.user_attrs, self.name)

    @cached_property
    def space(self) -> Space:
        """As its space file was, checked once for all trials."""
        return stored_space(self.name, self.settings.space, self.settings.code)

    @property
    def family_code(self) -> UsersCode | None:
        """The user's own model family, which `space` imports; None if there is none."""
        return stored_family_code(section(self.study.user_attrs, SETTINGS))

    @cached_property
    def trials(self) -> Sequence[FrozenTrial]:
        """All of them, not copied: do not change them."""
        return self.study.get_trials(deepcopy=False)

    @cached_property
    def confirmation(self) -> Confirmation | None:
        """The scores from fresh seeds; None if there are none."""
        return read_confirmation(self.study.user_attrs)
