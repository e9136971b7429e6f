"""ask -> start lane -> report / prune -> tell: the only loop that talks to the study.

A round is one `wait` of the executor. Everything that a round reports is written in one transaction, in the order of
trial numbers, so the database always contains the state between two rounds, and a resumed study equals an uninterrupted
one: trials that were RUNNING keep their numbers and are trained again, without reports, up to their last stored epoch
(`ResumePlan`). `Asker` samples trials, `RunningTrials` handles what happens on their lanes, and `TrialRecorder` writes
their results.

A trial is one run on a lane, which reports each epoch; or several (folds, repeats), one after another on its lane,
which report each run's score.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress

from optuna.trial import FrozenTrial, TrialState

from sweep.errors import Cause, Interrupted, StudyError
from sweep.executors.base import EpochDone, Event, Executor
from sweep.executors.lanes import Lanes
from sweep.space.space import Space
from sweep.storage import ChangedMeanwhile, ForeignChange, Wait, set_aside_lines
from sweep.system.interruption import Interruption
from sweep.tuning.asker import Asked, Asker
from sweep.tuning.callback import Callback
from sweep.tuning.callback_list import CallbackList
from sweep.tuning.dashboard_notes import DashboardNotes
from sweep.tuning.failures import Failure, FailureStreak
from sweep.tuning.limits import Limits, SweepClock
from sweep.tuning.progress import Progress
from sweep.tuning.resume_plan import Repeat, ResumePlan
from sweep.tuning.running_trial import RunningTrial, num_starts, num_stored_epochs
from sweep.tuning.running_trials import RunningTrials
from sweep.tuning.study import SweepStudy
from sweep.tuning.trial_recorder import TrialRecorder

MOST_DRAFTS = 3  # of one round
MOST_STARTS = 2  # of one epoch of a trial by processes that died in it, and the trial is FAIL(killed)


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
    ) -> None:
        self._study, self._space, self._executor = study, space, executor
        self._limits, self._notice = limits, progress.notice
        self._callbacks = CallbackList([DashboardNotes(), progress, *callbacks], progress.notice)
        self._interruption = interruption or Interruption()
        self._lanes: Lanes[RunningTrial] = Lanes(executor)
        self._resume_plan = ResumePlan()
        self._recorder = TrialRecorder(study, space.metrics, counts_starts=executor.shares_process)
        self._failures = FailureStreak(study.write_behind, limits.max_failures)
        self._trials = RunningTrials(
            study, space.metrics, self._lanes, self._recorder, self._failures, self._callbacks, progress.notice
        )
        self._asker = Asker(study, space, self._recorder, self._failures, seed)
        self._wait = Wait(self._interruption.check, progress.notice)
        self._clock = SweepClock(float(study.user_attrs.get("elapsed_s", 0.0)), limits.timeout_s)

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
                    self._find_trials_to_repeat()
                    self._failures.check(self._study.study_name)
                    self._run_rounds()
            except (Exception, Interrupted):
                with suppress(StudyError):  # the error that ended the run is re-raised
                    self._mark_drained(Wait(at_most_s=0))
                raise
            self._mark_drained(self._wait)
        return self._clock.is_timed_out and self._may_ask()

    def _run_rounds(self) -> None:
        for events in self._lanes.rounds(self._fill_lanes, self._interruption.check):
            self._handle(events)
            if self._clock.is_timed_out:
                break

    @property
    def num_finished(self) -> int:
        """Return the number of trials that count towards `num_trials`."""
        return len(self._study.write_behind.finished_numbers)

    # ---- resume ----

    def _find_trials_to_repeat(self) -> None:
        """Plan to repeat trials that were RUNNING when an earlier process ended; one killed twice in an epoch fails."""
        with self._transaction():
            for trial in self._study.frozen_trials(TrialState.RUNNING):
                if self._study.write_behind.is_ours(trial.number):  # else it runs elsewhere
                    self._repeat_or_fail(trial)
        if self._resume_plan.numbers:
            numbers = ", ".join(map(str, self._resume_plan.numbers))
            self._notice(f"resuming trial {numbers}")

    def _repeat_or_fail(self, trial: FrozenTrial) -> None:
        is_too_often = self._executor.shares_process and num_starts(trial) >= MOST_STARTS
        if is_too_often and not self._study.ended_in_order:
            error = "the process ended twice in the same epoch of this trial; --workers 1 survives that"
            self._trials.fail(trial.number, Failure(Cause.KILLED, error))
            return
        runs = self._space.runs(trial.params, trial.user_attrs["seed"])
        self._resume_plan.add(Repeat(trial.number, runs, num_stored_epochs(trial)))
        self._study.note_code(trial.number)
        if is_too_often:  # the database was not there to take the mark of that end
            self._recorder.count_start(trial.number, -1)

    def _mark_drained(self, wait: Wait) -> None:
        """Leave the running trials RUNNING: the next run resumes them, and does not count this end against them."""
        if not self._study.write_behind.is_out_of_step:
            with self._transaction(wait):
                for running in self._trials:
                    self._recorder.count_start(running.number, -1)
                self._callbacks.end_within(self._study)

    # ---- lanes ----

    def _fill_lanes(self) -> None:
        """Trials start once they are durable, and all have lanes: whatever ends the process finds them there."""
        self._start_repeats()
        if self._is_to_ask():
            asked = self._ask()
            taken = [self._trials.take_lane(trial.number, trial.runs) for trial in asked if trial.runs]
            self._tell_failed([trial.number for trial in asked if not trial.runs])
            for running in taken:
                self._trials.start(running)
            self._failures.check(self._study.study_name)

    def _ask(self) -> list[Asked]:
        """Every ask of a round is in one transaction, which other programs wait for only while it is written.

        What they write while the sampler thinks is adopted, and the sampler asked again; they could go on with that for
        ever, so at last the sampler thinks while they wait.
        """
        for _ in range(MOST_DRAFTS):
            with suppress(ChangedMeanwhile), self._study.write_behind.draft(self._wait):
                self._note_time()
                return self._asker.ask(self._is_to_ask)
            with self._transaction():
                pass
        with self._transaction():
            return self._asker.ask(self._is_to_ask)

    def _tell_failed(self, numbers: Sequence[int]) -> None:
        """In a transaction of its own: what callbacks do cannot be taken back with a draft."""
        if numbers:
            with self._transaction():
                for number in numbers:
                    self._trials.ended(number)
                    self._failures.count(number)

    def _start_repeats(self) -> None:
        for repeat in self._resume_plan.due(is_idle=not self._trials):
            if repeat.num_stored == 0:
                self._count_first_start(repeat.number)
            if self._resume_plan.discard(repeat.number):
                self._trials.start(self._trials.take_lane(repeat.number, repeat.runs, repeat.num_stored))

    def _count_first_start(self, number: int) -> None:
        with self._transaction():
            if number in self._resume_plan:
                self._recorder.count_start(number, +1)

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
        with self._transaction():
            for running, event in sorted(events, key=lambda pair: pair[0].number):
                self._trials.follow(running, event)
        self._failures.check(self._study.study_name)
        self._trials.start_next_runs()

    # ---- the study ----

    @contextmanager
    def _transaction(self, wait: Wait | None = None) -> Iterator[None]:
        """One transaction of the study; what others wrote is noticed first."""
        with self._study.write_behind.transaction(wait or self._wait) as changes:
            for change in changes:
                self._adopt(change)
            self._note_time()
            yield
        self._callbacks.deliver()

    def _note_time(self) -> None:
        self._study.set_user_attr("elapsed_s", round(self._clock.elapsed_s, 3))

    def _adopt(self, change: ForeignChange) -> None:
        """Take over a trial that another program created, or end one of the sweep's that it has finished."""
        self._notice(change.line(self._study.study_name))
        self._resume_plan.discard(change.number)
        self._trials.drop(change.number)
        if self._study.write_behind.get_trial(change.number).state.is_finished():
            self._trials.ended(change.number)
