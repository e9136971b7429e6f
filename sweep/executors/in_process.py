"""One engine in this process: the simplest executor, and the one to debug with."""

from sweep.config import TrialConfig
from sweep.engines.base import Engine
from sweep.executors.base import EpochDone, Event, LaneLost, lane_lost


class InProcessExecutor:
    """Follows the `Executor` protocol; each `wait` is one epoch of the engine's live lanes."""

    def __init__(self, engine: Engine) -> None:
        self.num_lanes = engine.num_lanes
        self._engine = engine
        self._configs: dict[int, TrialConfig] = {}
        self._waiting: list[Event] = []

    def start(self, lane: int, config: TrialConfig) -> None:
        """Admit a config; a failure to build it is an event of the next `wait`."""
        try:
            self._engine.admit(lane, config)
        except (Exception, SystemExit) as error:  # whatever a user's builder raises fails this trial alone
            self._waiting.append(lane_lost(lane, error, config))
        else:
            self._configs[lane] = config

    def stop(self, lane: int) -> None:
        """Evict."""
        if self._configs.pop(lane, None) is not None:
            self._engine.evict(lane)

    def wait(self) -> list[Event]:
        """Events that wait already, else one epoch."""
        events, self._waiting = self._waiting, []
        return events or self._train_epoch()

    def close(self) -> None:
        """Evict every lane."""
        for lane in list(self._configs):
            self.stop(lane)

    def _train_epoch(self) -> list[Event]:
        try:
            outcomes = self._engine.train_epoch()
        except (Exception, SystemExit) as error:  # the engine names no lane: every live one is lost
            return [self._lose(lane, error) for lane in list(self._configs)]
        return [
            self._lose(lane, outcome) if isinstance(outcome, Exception) else EpochDone(lane, outcome)
            for lane, outcome in outcomes.items()
        ]

    def _lose(self, lane: int, error: BaseException) -> LaneLost:
        event = lane_lost(lane, error, self._configs[lane])
        self.stop(lane)
        return event
