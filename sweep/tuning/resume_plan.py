"""Plan in which round each trial that an earlier process left RUNNING is started again."""

from dataclasses import dataclass

from sweep.config.function import RunConfig


@dataclass(frozen=True)
class Repeat:
    """A trial to train again.

    Attributes:
        number: Number of the trial.
        runs: Its configs.
        num_stored: Number of its stored epochs.
    """

    number: int
    runs: tuple[RunConfig, ...]
    num_stored: int


class ResumePlan:
    """Start trials with more stored epochs earlier, so that all reach the state before the interruption together.

    A trial with n stored epochs starts n rounds before the sweep reaches that state.
    """

    def __init__(self) -> None:
        self._repeats: dict[int, Repeat] = {}  # by number
        self._rounds_left = 0

    def add(self, repeat: Repeat) -> None:
        """Add a trial, which is pending until `discard`."""
        self._repeats[repeat.number] = repeat

    def discard(self, number: int) -> bool:
        """Remove a trial that has started or is finished. Return whether it was pending."""
        return self._repeats.pop(number, None) is not None

    def __contains__(self, number: int) -> bool:
        return number in self._repeats

    @property
    def numbers(self) -> list[int]:
        """Return the numbers of the pending trials."""
        return [*self._repeats]

    @property
    def is_repeating(self) -> bool:
        """Return whether the sweep has not yet reached the state in which the earlier process ended."""
        return self._rounds_left > 0

    def due(self, *, is_idle: bool) -> list[Repeat]:
        """Return the trials to start in this round.

        Args:
            is_idle: Whether no trial is being trained: in the first round, or after the running ones failed or were
                finished by another program. Then the pending trial with the most stored epochs is due.

        """
        if is_idle:
            self._rounds_left = max((repeat.num_stored for repeat in self._repeats.values()), default=0)
        return [repeat for repeat in self._repeats.values() if repeat.num_stored == self._rounds_left]

    def end_round(self) -> None:
        """Note that a round was trained."""
        self._rounds_left = max(0, self._rounds_left - 1)
