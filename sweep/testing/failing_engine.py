"""A fake engine that fails as a config's number of dense units says, for the contract of executors.

13 cannot be built, 14 ends its own run in epoch 2, 15 takes the engine with it in epoch 1.
"""

from collections.abc import Callable, Collection
from typing import Any, ClassVar

from sweep.config.trial import TrialConfig
from sweep.engines.base import Outcome
from sweep.engines.fake import FakeEngine

NAME = "sweep.testing.failing_engine:FailingEngine"


def _fourteen(_: TrialConfig) -> None:
    raise ValueError("fourteen")


class FailingEngine(FakeEngine):
    """Derive from it and add to `actions` what else shall happen in a run's second epoch."""

    actions: ClassVar[dict[int, Callable[[TrialConfig], None]]] = {14: _fourteen}

    def admit(self, lane: int, config: TrialConfig) -> None:
        """Start a lane at epoch 0, unless it is the config that cannot be built."""
        if _units(config) == 13:
            raise ValueError("thirteen")
        super().admit(lane, config)

    def train_epoch(self, lanes: Collection[int] | None = None) -> Any:
        """One epoch of every lane, or what ended its run."""
        chosen = self._runs.keys() if lanes is None else lanes
        due = {lane: run for lane, run in self._runs.items() if lane in chosen}
        if any(_units(config) == 15 for config, _ in due.values()):
            raise ValueError("fifteen")
        failed: dict[int, Outcome] = {}
        for lane, (config, epoch) in due.items():
            action = self.actions.get(_units(config))
            if action is not None and epoch == 1:
                try:
                    action(config)
                except Exception as error:
                    failed[lane] = error
        return {**super().train_epoch(lanes), **failed}


def _units(config: TrialConfig) -> int:
    return int(config.values()["model"]["dense_units"])
