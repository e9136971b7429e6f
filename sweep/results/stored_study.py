"""Read a stored study once: its settings, space, trials and confirmation."""

from collections.abc import Sequence
from functools import cached_property

import optuna
from optuna.trial import FrozenTrial

from sweep.config.study_settings import SETTINGS, StudySettings, read_settings
from sweep.plugins.user_code import UserCode
from sweep.results.confirmation import Confirmation, read_confirmation
from sweep.space.file import stored_family_code, stored_space
from sweep.space.space import Space
from sweep.storage.stored_trials import section


class StoredStudy:
    """A stored study as `export`, `confirm` and the Python API read it.

    Args:
        study: The study as returned by `read_study`.
    """

    def __init__(self, study: optuna.Study) -> None:
        self.study = study

    @property
    def name(self) -> str:
        """The name of the study."""
        return self.study.study_name

    @cached_property
    def settings(self) -> StudySettings:
        """The settings that the trials depend on.

        Raises:
            StudyError: The study was not made by `sweep run`.
        """
        return read_settings(self.study.user_attrs, self.name)

    @cached_property
    def space(self) -> Space:
        """The space, as the space file defined it."""
        return stored_space(self.name, self.settings.space, self.settings.code)

    @property
    def family_code(self) -> UserCode | None:
        """The user code of a custom model family, which `space` imports; None if there is none."""
        return stored_family_code(section(self.study.user_attrs, SETTINGS))

    @cached_property
    def trials(self) -> Sequence[FrozenTrial]:
        """All trials, not copied: do not change them."""
        return self.study.get_trials(deepcopy=False)

    @cached_property
    def confirmation(self) -> Confirmation | None:
        """The scores of `sweep confirm`; None if there are none."""
        return read_confirmation(self.study.user_attrs)
