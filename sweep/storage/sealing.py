"""Add to each transaction the digests of the trials, and of the study, that it changes."""

import json

from sweep.storage import rows
from sweep.storage.digest import DIGEST, MADE_BY_SWEEP, OWN_STUDY_ATTRS, TrialDigests, study_digest
from sweep.storage.memory import STUDY_ID, StudyMemory
from sweep.storage.pending_rows import PendingRows
from sweep.storage.stored_trials import SET_ASIDE


class Sealing:
    """Add the digests of one study. A study that is older than digests gets all of them in one transaction."""

    def __init__(self, memory: StudyMemory) -> None:
        self._memory = memory
        self._digests = TrialDigests()
        self._is_complete = DIGEST in memory.get_study_system_attrs(STUDY_ID)

    def add_to(self, pending: PendingRows) -> None:
        """Add the digests of the pending changes."""
        memory = self._memory
        if MADE_BY_SWEEP not in memory.get_study_user_attrs(STUDY_ID):
            return
        if not self._is_complete:
            for number in range(len(memory.row_ids)):
                self.take_over(number, pending)
        for number in pending.touched_trials():
            if number in memory.own_numbers:
                digest = json.dumps(self._digests.of(memory.get_trial(number)))
                pending.add_attr(rows.TRIAL_SYSTEM_ATTRS, number, DIGEST, digest)
        if not self._is_complete or not pending.study_user_attrs().isdisjoint(OWN_STUDY_ATTRS):
            self._add_studys(pending)
            self._is_complete = True

    def take_over(self, number: int, pending: PendingRows) -> None:
        """Write all rows of a trial of the sweep as they were read, so that its digest covers what is stored."""
        trial = self._memory.get_trial(number)
        if number in self._memory.own_numbers and SET_ASIDE not in trial.user_attrs:
            pending.add_content(trial)

    def _add_studys(self, pending: PendingRows) -> None:
        memory = self._memory
        directions, user_attrs = memory.get_study_directions(STUDY_ID), memory.get_study_user_attrs(STUDY_ID)
        digest = json.dumps(study_digest(memory.study_name, directions, user_attrs))
        pending.add_attr(rows.STUDY_SYSTEM_ATTRS, None, DIGEST, digest)
