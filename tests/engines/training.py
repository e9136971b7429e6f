"""Trains configs to their end; run as a module, in a process of its own: configs as JSON in, outcomes as JSON out.

python -m tests.engines.training '[{"training": {"epochs": 2}}]'
"""

import hashlib
import json
import sys
from typing import Any

import numpy as np

from sweep.config.trial import TrialConfig
from sweep.engines.sequential import SequentialEngine
from sweep.testing.engine import FEW, train_to_the_end, without_seconds


def config_of(values: dict[str, Any]) -> TrialConfig:
    """A config on few digits, in minibatches that do not divide their number."""
    few = {**FEW, **values.get("data", {})}
    return TrialConfig.from_values({**values, "data": few}, "test")


def set_fixed_weights(model: Any) -> None:
    """Weights that do not depend on the Keras backend, as the initial ones do."""
    generator = np.random.default_rng(0)
    drawn = [generator.normal(0, 0.2, weights.shape) for weights in model.get_weights()]
    model.set_weights(
        [np.abs(weights) if weights.ndim == 1 else weights for weights in drawn]
    )  # variances are positive


def outcome(values: dict[str, Any]) -> dict[str, Any]:
    """Records (floats as JSON, exactly) and a hash of the final weights. `fixed_weights` starts from those above."""
    values = dict(values)
    engine, fixed_weights = SequentialEngine(), values.pop("fixed_weights", False)
    engine.admit(0, config_of(values))
    if fixed_weights:
        set_fixed_weights(engine.model(0))
    history = without_seconds(train_to_the_end(engine))
    weights = b"".join(weights.tobytes() for weights in engine.model(0).get_weights())
    engine.evict(0)
    return {"history": history, "weights": hashlib.sha256(weights).hexdigest()}


if __name__ == "__main__":
    print(json.dumps([outcome(values) for values in json.loads(sys.argv[1])]))
