"""Select trials of a large study, so that a page stays usable: 5,000 trials of 20 epochs are 13 MB of JSON."""

from collections.abc import Sequence

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial

from sweep.pareto import best_first


class Selection:
    """Select the best, the latest and the unfinished trials of a study, at the time of creation.

    Trials that are created later are added at the end, and none is removed, as a page requests the trials after those
    that it has.

    Args:
        most: Number of best and of latest trials.
        trials: All trials of the study, by number.
        directions: The direction of each objective.
    """

    def __init__(self, most: int, trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> None:
        self._last = trials[-1].number if trials else -1
        chosen = [*best_first(trials, directions)[:most], *trials[-most:]]
        self._numbers = {trial.number for trial in chosen}
        self._numbers |= {trial.number for trial in trials if not trial.state.is_finished()}

    def of(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the selected trials.

        Args:
            trials: All current trials of the study, by number.
        """
        return [trial for trial in trials if trial.number > self._last or trial.number in self._numbers]
