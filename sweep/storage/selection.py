"""Which trials of a large study are served, so that a page stays usable: 5,000 of 20 epochs are 13 MB of JSON."""

from collections.abc import Sequence

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from sweep.pareto import best_first


class Selection:
    """The `most` best and the `most` latest trials of a study, and those that are not finished, as of the first look.

    What comes later is added at the end and nothing is taken away: a page asks for the trials after the first so many.
    """

    def __init__(self, most: int, trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> None:
        """`trials` are all of the study's, by number."""
        self._last = trials[-1].number if trials else -1
        chosen = [*best_first(trials, directions)[:most], *trials[-most:]]
        self._numbers = {trial.number for trial in chosen}
        self._numbers |= {trial.number for trial in trials if not trial.state.is_finished()}

    def of(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the selected ones of the study's trials as they are now."""
        return [trial for trial in trials if trial.number > self._last or trial.number in self._numbers]
