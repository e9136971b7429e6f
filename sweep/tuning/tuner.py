"""ask -> start lane -> report / prune -> tell: the only loop that talks to the study.

A round is one `wait` of the executor. Everything that a round reports is written in one transaction, in the order of
trial numbers, so the database always contains the state between two rounds, and a resumed study equals an uninterrupted
one: trials that were RUNNING keep their numbers and are trained again, without reports, up to their last stored epoch
(`Resume`). `Asker` samples trials, `RunningTrials` handles what happens on their lanes, and `TrialRecorder` writes
their results.

A trial is one run on a lane, which reports each epoch; or several (folds, repeats), one after another on its lane,
which report each run's score.
"""

from collections.abc import Sequence
from contextlib import closing, suppress

from optuna.trial import TrialState

from sweep.errors import Interrupted, StudyError
from sweep.executors.base import EpochDone, Event, Executor
from sweep.executors.lanes import Lanes
from sweep.space.space import Space
from sweep.storage import ForeignChange, Wait, set_aside_lines
from sweep.system.interruption import Interruption
from sweep.tuning.asker import Asker
from sweep.tuning.best_predictions import BestPredictions
from sweep.tuning.callback import Callback
from sweep.tuning.callback_list import CallbackList
from sweep.tuning.dashboard_notes import DashboardNotes
from sweep.tuning.failures import FailureStreak
from sweep.tuning.limits import Limits, SweepClock
from sweep.tuning.prediction_keeper import PredictionKeeper
from sweep.tuning.progress import Progress
from sweep.tuning.reported import Reported
from sweep.tuning.resume import Resume
from sweep.tuning.resume_plan import ResumePlan
from sweep.tuning.running_trial import RunningTrial
from sweep.tuning.running_trials import RunningTrials
from sweep.tuning.study import SweepStudy
from sweep.tuning.suggester import Suggester
from sweep.tuning.transactions import Transactions
from sweep.tuning.trial_recorder import TrialRecorder


class Tuner:
    """Runs a study to its limits. One instance for each process and study."""

    def __init__(
        self,
        study: SweepStudy,
        space: Space,
        executor: Executor,
        limits: Limits,
        progress: Progress,
        seed: int,
        interruption: Interruption | None = None,
        callbacks: Sequence[Callback] = (),
        best_predictions: BestPredictions | None = None,
    ) -> None:
        self._study, self._space, self._executor = study, space, executor
        self._limits, self._notice = limits, progress.notice
        self._callbacks = CallbackList([DashboardNotes(), progress, *callbacks], progress.notice)
        self._interruption = interruption or Interruption()
        self._lanes: Lanes[RunningTrial] = Lanes(executor)
        self._resume_plan = ResumePlan()
        self._recorder = TrialRecorder(study, Reported.of(space), counts_starts=executor.shares_process)
        self._failures = FailureStreak(study.write_behind, limits.max_failures)
        self._trials = RunningTrials(
            study,
            space.metrics,
            self._lanes,
            self._recorder,
            self._failures,
            self._callbacks,
            progress.notice,
            keeps="" if best_predictions is None else "predictions",
        )
        self._keeper = (
            PredictionKeeper(best_predictions, space.metrics, self._lanes, progress.notice)
            if best_predictions is not None
            else None
        )
        self._asker = Asker(study, space, self._recorder, self._failures, seed)
        self._clock = SweepClock(float(study.user_attrs.get("elapsed_s", 0.0)), limits.timeout_s)
        wait = Wait(self._interruption.check, progress.notice)
        self._transactions = Transactions(study, self._callbacks, self._clock, wait, self._adopt)
        suggester = Suggester(study, self._transactions)
        executor.answer_with(lambda lane, asked: suggester.answer(self._lanes.on(lane).number, asked))
        self._resume = Resume(
            study,
            space,
            self._trials,
            self._recorder,
            self._transactions,
            self._resume_plan,
            counts_starts=executor.shares_process,
        )

    def run(self) -> bool:
        """Train trials until a limit is reached. Return whether that was the timeout.

        Raises SweepStopped, or Interrupted after marking the running trials.
        """
        info = self._study.info(self._limits.num_trials)
        with self._interruption.polled(), closing(self._executor), self._callbacks.sweep(self._study, info):
            try:
                if not self._clock.is_timed_out:
                    for line in set_aside_lines(self._study.study_name, self._study.frozen_trials()):
                        self._notice(line)
                    self._resume_interrupted()
                    self._failures.check(self._study.study_name)
                    self._run_rounds()
            except (Exception, Interrupted):
                with suppress(StudyError):  # the error that ended the run is re-raised
                    self._resume.mark_drained(Wait(at_most_s=0), self._callbacks.end_within)
                raise
            self._resume.mark_drained(None, self._callbacks.end_within)
        return self._clock.is_timed_out and self._may_ask()

    def _resume_interrupted(self) -> None:
        if numbers := self._resume.find():
            self._notice(f"resuming trial {', '.join(map(str, numbers))}")

    def _run_rounds(self) -> None:
        for events in self._lanes.rounds(self._fill_lanes, self._interruption.check):
            self._handle(events)
            if self._clock.is_timed_out:
                break

    @property
    def num_finished(self) -> int:
        """Return the number of trials that count towards `num_trials`."""
        return len(self._study.write_behind.finished_numbers)

    # ---- lanes ----

    def _fill_lanes(self) -> None:
        """Trials start once they are durable, and all have lanes: whatever ends the process finds them there."""
        self._resume.start_due()
        if self._is_to_ask():
            asked = self._transactions.draft(lambda: self._asker.ask(self._is_to_ask))
            taken = [self._trials.take_lane(trial.number, trial.runs) for trial in asked if trial.runs]
            self._tell_failed([trial.number for trial in asked if not trial.runs])
            for running in taken:
                self._trials.start(running)
            self._failures.check(self._study.study_name)

    def _tell_failed(self, numbers: Sequence[int]) -> None:
        """In a transaction of its own: what callbacks do cannot be taken back with a draft."""
        if numbers:
            with self._transactions.begin():
                for number in numbers:
                    self._trials.ended(number)
                    self._failures.count(number)

    def _is_to_ask(self, num_asked: int = 0) -> bool:
        """Of a trial more than those that were asked and have no lanes yet."""
        return not self._resume_plan.is_repeating and self._trials.num_free > num_asked and self._may_ask(num_asked)

    def _may_ask(self, num_asked: int = 0) -> bool:
        if self.num_finished + len(self._trials) + num_asked >= self._limits.num_trials:
            return False
        return self._study.num_left() != 0 or bool(self._study.frozen_trials(TrialState.WAITING))

    # ---- events ----

    def _handle(self, events: list[tuple[RunningTrial, Event]]) -> None:
        if any(isinstance(event, EpochDone) for _, event in events):
            self._resume_plan.end_round()
        if self._keeper is not None:
            self._keeper.follow(events)
        with self._transactions.begin():
            for running, event in sorted(events, key=lambda pair: pair[0].number):
                self._trials.follow(running, event)
        self._failures.check(self._study.study_name)
        self._trials.start_next_runs()

    # ---- the study ----

    def _adopt(self, change: ForeignChange) -> None:
        """Take over a trial that another program created, or end one of the sweep's that it has finished."""
        self._notice(change.line(self._study.study_name))
        self._resume_plan.discard(change.number)
        self._trials.drop(change.number)
        if self._study.write_behind.get_trial(change.number).state.is_finished():
            self._trials.ended(change.number)
