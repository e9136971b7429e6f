"""Fetches the predictions of trials that are about to be COMPLETE from their lanes, and stores those of the best."""

from collections.abc import Callable, Sequence

from sweep.engines.base import EpochRecord, run_values
from sweep.engines.predictions import Predictions
from sweep.executors.base import EpochDone, Event
from sweep.executors.lanes import Lanes
from sweep.space.runs import trial_values
from sweep.text import error_line
from sweep.tuning.best_predictions import BestPredictions
from sweep.tuning.running_trial import RunningTrial


class PredictionKeeper:
    """Called before the transaction of a round, as a model may take a while for its predictions."""

    def __init__(
        self,
        best: BestPredictions,
        objectives: Sequence[str],
        lanes: Lanes[RunningTrial],
        notice: Callable[[str], None],
    ) -> None:
        self._best, self._objectives, self._lanes, self._notice = best, objectives, lanes, notice

    def follow(self, events: Sequence[tuple[RunningTrial, Event]]) -> None:
        """Store the predictions of the trials whose last run has ended, if they are among the best."""
        for running, event in events:
            if isinstance(event, EpochDone) and running in self._lanes:
                self._follow(running, event.metrics)

    def _follow(self, running: RunningTrial, metrics: EpochRecord) -> None:
        if not metrics.is_last or metrics.not_finite():
            return
        values = [*running.values, run_values([*running.histories[-1], metrics], self._objectives)]
        is_complete = len(values) == len(running.runs)
        if is_complete and not self._best.wants(trial_values(values)[0]):
            return
        predictions = self._fetched(running)
        if predictions is not None and predictions.may_be_kept:
            running.predictions.append(predictions)
        if is_complete and len(running.predictions) == len(running.runs):
            problem = self._best.keep(running.number, trial_values(values), running.predictions)
            if problem is not None:
                self._notice(problem)

    def _fetched(self, running: RunningTrial) -> Predictions | None:
        try:
            return self._lanes.predictions(running)
        except Exception as error:  # a user's model may raise anything; the trial has its score without
            self._notice(f"the predictions of trial {running.number} are not stored: {error_line(error)}")
            return None
