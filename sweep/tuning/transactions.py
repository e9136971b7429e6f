"""Transactions of a study: what other programs wrote is adopted first, and the elapsed time is noted in each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from sweep.storage import ChangedMeanwhile, ForeignChange, Wait
from sweep.tuning.callback_list import CallbackList
from sweep.tuning.limits import SweepClock
from sweep.tuning.study import SweepStudy

MAX_DRAFTS = 3  # of one round

Result = TypeVar("Result")


class Transactions:
    """Opens transactions and drafts of one study."""

    def __init__(
        self,
        study: SweepStudy,
        callbacks: CallbackList,
        clock: SweepClock,
        wait: Wait,
        adopt: Callable[[ForeignChange], None],
    ) -> None:
        """Create the transactions of a study.

        Args:
            study: The study that is written to.
            callbacks: Receive the events of a transaction once it is committed.
            clock: Its elapsed seconds are stored in each transaction.
            wait: How long to wait for a locked database.
            adopt: Called for each change of another program, inside the transaction that found it.

        """
        self._study, self._callbacks, self._clock, self._wait, self._adopt = study, callbacks, clock, wait, adopt

    @contextmanager
    def begin(self, wait: Wait | None = None) -> Iterator[None]:
        """Open one transaction, commit it at the end, then deliver its events to the callbacks."""
        with self._study.write_behind.transaction(wait or self._wait) as changes:
            for change in changes:
                self._adopt(change)
            self._note_time()
            yield
        self._callbacks.deliver()

    def draft(self, make: Callable[[], Result]) -> Result:
        """Call `make` on a draft of the study, which locks the database only while its result is written.

        If another program writes meanwhile, its changes are adopted and `make` is called again. The last attempt holds
        the lock, as the other program could otherwise delay it forever.
        """
        for _ in range(MAX_DRAFTS):
            with suppress(ChangedMeanwhile), self._study.write_behind.draft(self._wait):
                self._note_time()
                return make()
            with self.begin():
                pass
        with self.begin():
            return make()

    def _note_time(self) -> None:
        self._study.set_user_attr("elapsed_s", round(self._clock.elapsed_s, 3))
