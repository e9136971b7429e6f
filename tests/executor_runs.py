"""Configs run on an executor to their end: what the tests of workers share."""

from sweep.config.trial import TrialConfig
from sweep.engines.fake import fake_record
from sweep.executors.base import EpochDone, LaneLost


def make_config(dense_units=8, epochs=3, seed=0):
    """For `failing_engines`, which read the dense units."""
    values = {"training": {"epochs": epochs, "seed": seed}, "model": {"dense_units": dense_units}}
    return TrialConfig.from_values(values, "test")


def run_to_the_end(workers, configs):
    """Start all, refill nothing; lane -> epochs told, lane -> loss, and every retry."""
    for lane, config in enumerate(configs):
        workers.start(lane, config)
    told, lost, retried = {lane: [] for lane in range(len(configs))}, {}, []
    while any(not (lane in lost or (told[lane] and told[lane][-1].is_last)) for lane in told):
        for event in workers.wait():
            if isinstance(event, EpochDone):
                told[event.lane].append(event.metrics)
                if event.metrics.is_last:
                    workers.stop(event.lane)
            elif isinstance(event, LaneLost):
                lost[event.lane] = event
            else:
                retried.append(event)
    return told, lost, retried


def curve(config):
    """What the fake engine tells of it."""
    return [fake_record(config, epoch) for epoch in range(1, config.training.epochs + 1)]
