"""The sweep's own run is repeated: equal scores pass, others and failures are said."""

import pytest

from sweep.config.file import Provenance
from sweep.config.trial import TrialConfig
from sweep.engines.fake import FakeEngine, fake_record
from sweep.errors import SweepError
from sweep.executors.in_process import InProcessExecutor
from sweep.results.verify import ScoreMissed, verify

CONFIG = TrialConfig.from_values({"training": {"epochs": 3}}, "test")


def provenance(score, losses=()):
    names = {"study": "study", "state": "COMPLETE", "metric": "val_accuracy", "data_hash": "", "command": ""}
    where = {"engine": "fake", "num_lanes": 4, "threads": 1, "device": "none", "keras_backend": "none"}
    counts = {"trial": 0, "num_epochs": 3, "best_epoch": 2, "seed": 0}
    return Provenance(score=score, losses=[*losses], params={}, versions={}, **names, **where, **counts)


def test_the_score_of_the_best_epoch_is_compared():
    score = fake_record(CONFIG, 2).logs["val_accuracy"]
    assert verify(CONFIG, provenance(score), InProcessExecutor(FakeEngine()), tolerance=0.0).repeated == score
    with pytest.raises(ScoreMissed, match="differs by more than"):
        verify(CONFIG, provenance(score + 1e-3), InProcessExecutor(FakeEngine()), tolerance=1e-6)


def test_an_equal_score_with_other_losses_is_not_verified():
    score = fake_record(CONFIG, 2).logs["val_accuracy"]
    losses = [fake_record(CONFIG, epoch).logs["loss"] for epoch in (1, 2, 3)]
    assert verify(CONFIG, provenance(score, losses), InProcessExecutor(FakeEngine()), tolerance=0.0).repeated == score
    losses[1] += 0.01
    with pytest.raises(ScoreMissed, match="epoch 2"):
        verify(CONFIG, provenance(score, losses), InProcessExecutor(FakeEngine()), tolerance=1e-6)


def test_a_run_that_fails_is_raised_not_scored():
    class FailingEngine(FakeEngine):
        def train_epoch(self, lanes=None):
            return {lane: MemoryError("too large") for lane in super().train_epoch()}

    with pytest.raises(SweepError, match="too large"):
        verify(CONFIG, provenance(0.5), InProcessExecutor(FailingEngine()), tolerance=1e-6)
