"""Which trials an earlier process left RUNNING, and in which round each of them is started again."""

from dataclasses import dataclass

from sweep.config.function import RunConfig


@dataclass(frozen=True)
class Repeat:
    """A trial that is trained again, with the number of its epochs that are stored."""

    number: int
    runs: tuple[RunConfig, ...]
    num_stored: int


class ResumePlan:
    """Trials that stood at different epochs start in different rounds, so that they arrive together.

    A trial of which n epochs are stored starts n rounds before the sweep continues from where it was.
    """

    def __init__(self) -> None:
        self._repeats: dict[int, Repeat] = {}  # by number
        self._rounds_left = 0

    def add(self, repeat: Repeat) -> None:
        """Plan a trial; it waits for its round."""
        self._repeats[repeat.number] = repeat

    def discard(self, number: int) -> bool:
        """Remove a trial that starts or is finished. Return whether it was pending."""
        return self._repeats.pop(number, None) is not None

    def __contains__(self, number: int) -> bool:
        return number in self._repeats

    @property
    def numbers(self) -> list[int]:
        """Return the numbers of the pending trials."""
        return [*self._repeats]

    @property
    def is_repeating(self) -> bool:
        """Return whether the sweep has not yet reached the point where the earlier process ended."""
        return self._rounds_left > 0

    def due(self, *, is_idle: bool) -> list[Repeat]:
        """Those to start now.

        Args:
            is_idle: Nothing is being trained: it is the first round, or those that stood before the ones that wait
                were lost or finished by another program. The longest one is due then.

        """
        if is_idle:
            self._rounds_left = max((repeat.num_stored for repeat in self._repeats.values()), default=0)
        return [repeat for repeat in self._repeats.values() if repeat.num_stored == self._rounds_left]

    def end_round(self) -> None:
        """Note that an epoch was trained."""
        self._rounds_left = max(0, self._rounds_left - 1)
