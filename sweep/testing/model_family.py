"""What every model family has to fulfil, ours and a user's own.

from sweep.testing.model_family import ModelFamilyContract

class TestResidual(ModelFamilyContract):
    models = ({"family": "my_models:FAMILY"}, {"family": "my_models:FAMILY", "blocks": 1})
"""

import subprocess
import sys
import tomllib
from collections.abc import Mapping
from math import isclose
from typing import Any, ClassVar

import numpy as np
import pytest
import tomli_w

from sweep.config.trial import TrialConfig
from sweep.data import load
from sweep.engines.base import Engine, record_of
from sweep.errors import SpaceError
from sweep.models.build import build_checked, build_model
from sweep.models.family import family_of

FEW = {"num_train": 48, "num_validation": 24}  # digits
TOLERANCE = 1e-4  # largest difference between the losses of lanes and of the sequential engine


class ModelFamilyContract:
    """Inherit from it, and name a few `[model]` sections that differ in what matters.

    Attributes:
        models: Values of `[model]`, each with its family.
        image_shape: Of the images that are built for, where none are loaded.
    """

    models: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    image_shape: ClassVar[tuple[int, int, int]] = (28, 28, 1)

    def configs(self, **training: Any) -> list[TrialConfig]:
        """Return a config for each of `models`."""
        values = ({"data": FEW, "model": dict(model), "training": {"epochs": 1, **training}} for model in self.models)
        return [TrialConfig.from_values(one, "test") for one in values]

    def test_a_config_written_as_toml_reads_back_equal(self) -> None:
        """Configs are stored with studies and exported."""
        for config in self.configs():
            assert TrialConfig.from_values(tomllib.loads(tomli_w.dumps(config.values())), "test") == config

    def test_a_key_that_there_is_not_is_refused_in_one_line(self) -> None:
        """A misspelt key would leave a default in its place."""
        for model in self.models:
            with pytest.raises(SpaceError, match=r"^[^\n]*model\.no_such_key[^\n]*$"):
                TrialConfig.from_values({"model": {**model, "no_such_key": 1}}, "test")

    def test_a_model_gives_a_value_for_each_class(self) -> None:
        """Of images of any shape, and of those of the data as they are scaled."""
        for config in self.configs():
            assert build_model(config, self.image_shape, 7).output_shape == (None, 7)
            build_checked(config, load(config.data))

    def test_initial_weights_depend_on_the_seed_alone(self) -> None:
        """Else a trial could not be repeated."""
        for one, same, other in zip(self.configs(), self.configs(), self.configs(seed=1), strict=True):
            first, again, third = (
                build_model(config, self.image_shape, 7).get_weights() for config in (one, same, other)
            )
            assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
            assert any(not np.array_equal(a, b) for a, b in zip(first, third, strict=True))

    def test_cost_counts_the_weights_of_the_model(self) -> None:
        """Where there is one; lanes are counted from it."""
        for config in self.configs():
            cost = family_of(config.model).cost
            if cost is not None:
                counted = sum(layer.num_weights for layer in cost(config.model, self.image_shape, 7))
                assert counted == build_model(config, self.image_shape, 7).count_params()

    def test_lanes_train_as_the_sequential_engine_does(self) -> None:
        """With a lane kernel; without one both are the same code."""
        from sweep.engines.packed.engine import PackedEngine
        from sweep.engines.sequential import SequentialEngine

        for config in self.configs():
            alone, on_lane = (_val_loss(engine, config) for engine in (SequentialEngine(), PackedEngine(1)))
            assert isclose(alone, on_lane, rel_tol=TOLERANCE)

    def test_the_config_is_light(self) -> None:
        """Commands that train nothing import no Keras."""
        code = f"""
import sys
sys.path[:] = {sys.path!r}
from sweep.config.trial import TrialConfig
for model in {[dict(model) for model in self.models]!r}:
    TrialConfig.from_values({{"model": model}}, "test")
assert "keras" not in sys.modules, "import keras inside the functions that build models"
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def _val_loss(engine: Engine, config: TrialConfig) -> float:
    """After the first epoch."""
    engine.admit(0, config)
    return record_of(0, engine.train_epoch()).score("val_loss")
