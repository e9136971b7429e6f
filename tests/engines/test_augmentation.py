"""Training images are varied in a way that seed, epoch and step decide, and nothing else sees the variations."""

from typing import Any

import keras
import numpy as np
import pytest

from sweep.config.augmentation import AugmentationConfig
from sweep.engines.augmentation import Augmentation
from sweep.engines.checkpoint import CheckpointingEngine
from sweep.engines.packed.engine import PackedEngine
from sweep.engines.sequential import SequentialEngine
from sweep.errors import SpaceError
from sweep.models.lane_support import without_lanes
from sweep.testing.engine import train_to_the_end, without_seconds
from tests.engines.training import config_of

ON = [
    {"flip": "horizontal"},
    *({name: 0.3} for name in ("translation", "rotation", "zoom", "shear", "contrast", "brightness")),
    *({name: 0.9} for name in ("erasing", "mixup", "cutmix")),
]
SMALL: dict[str, Any] = {
    "model": {"filters": [4], "dense_units": 8},
    "training": {"epochs": 3, "batch_size": 32, "seed": 5},
}
SEVERAL = {**SMALL, "augmentation": {"rotation": 0.05, "brightness": 0.1, "mixup": 0.2}}


@pytest.fixture
def images() -> Any:
    return np.random.default_rng(0).random((6, 8, 8, 1)).astype(np.float32)


@pytest.mark.parametrize("values", ON, ids=lambda values: next(iter(values)))
def test_equal_seeds_give_equal_images_and_each_step_gives_others(values: dict[str, Any], images: Any) -> None:
    augmentation = Augmentation(AugmentationConfig(**values), 3, (0.0, 1.0))
    labels, seeds = np.array([0, 1, 2, 0, 1, 2], np.int32), augmentation.step_seeds(1, 1, 2)
    first, again, other = (np.asarray(augmentation(images, labels, seeds[step])[0]) for step in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == images.shape
    assert first.min() >= 0
    assert first.max() <= 1


def test_seeds_depend_on_run_and_epoch() -> None:
    augmentation = Augmentation(AugmentationConfig(rotation=0.1, zoom=0.1), 3, (0.0, 1.0))
    drawn = [augmentation.step_seeds(*at, 4).tobytes() for at in ((1, 1), (1, 2), (2, 1))]
    assert augmentation.step_seeds(1, 1, 4).shape == (4, 2, 2)
    assert len({*drawn, augmentation.step_seeds(1, 1, 4).tobytes()}) == 3


def test_mixed_labels_keep_their_sum_and_follow_the_images() -> None:
    augmentation = Augmentation(AugmentationConfig(mixup=0.5), 2, (0.0, 1.0))
    labels = np.array([0, 1] * 8, np.int32)
    images = np.broadcast_to(labels.astype(np.float32)[:, None, None, None], (16, 4, 4, 1))
    mixed, shares = map(np.asarray, augmentation(images, labels, augmentation.step_seeds(0, 1, 1)[0]))
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(mixed[:, 0, 0, 0], shares[:, 1], atol=1e-6)
    assert ((shares > 0.01) & (shares < 0.99)).any()


@pytest.mark.slow
def test_a_run_repeats_bit_for_bit_and_differs_from_one_without() -> None:
    histories = [without_seconds(train(values)) for values in (SEVERAL, SEVERAL, SMALL)]
    assert histories[0] == histories[1]
    assert histories[0] != histories[2]


@pytest.mark.slow
def test_validation_images_are_not_changed() -> None:
    engine = SequentialEngine()
    engine.admit(0, config_of(SEVERAL))
    last = train_to_the_end(engine)[-1]
    run = engine.run(0)
    outputs = run._steps.predict()
    assert last.logs["val_accuracy"] == pytest.approx((outputs.argmax(axis=1) == run._validation_labels).mean())


@pytest.mark.slow
def test_a_resumed_run_sees_the_images_of_an_uninterrupted_one(tmp_path: Any) -> None:
    config = config_of(SEVERAL)
    expected = without_seconds(train(SEVERAL))
    for epochs in (1, 2):  # the second engine resumes after the first epoch
        engine = CheckpointingEngine(lambda _: tmp_path / "checkpoint.npz")
        engine.admit(0, config)
        records = [engine.train_epoch()[0] for _ in range(epochs)]
    assert without_seconds(records) == expected[1:]


@pytest.mark.slow
def test_the_packed_engine_trains_it_as_the_sequential_one() -> None:
    config = config_of(SEVERAL)
    assert without_lanes(config) == "augmentation"
    engine = PackedEngine(2, 1)
    engine.admit(1, config)
    assert without_seconds(train_to_the_end(engine, 1)) == without_seconds(train(SEVERAL))


def test_a_config_without_augmentation_is_written_as_before() -> None:
    assert "augmentation" not in config_of({**SMALL, "augmentation": {"fill_mode": "constant"}}).values()
    assert config_of(SEVERAL).values()["augmentation"]["rotation"] == 0.05


def test_a_range_of_pixel_values_is_needed_where_they_are_changed() -> None:
    with pytest.raises(SpaceError, match=r"augmentation\.contrast"):
        config_of({**SMALL, "data": {"scaling": "standard"}, "augmentation": {"contrast": 0.1}})
    config_of({**SMALL, "data": {"scaling": "standard"}, "augmentation": {"flip": "horizontal"}})


def train(values: dict[str, Any]) -> list[Any]:
    keras.utils.clear_session()
    engine = SequentialEngine()
    engine.admit(0, config_of(values))
    return train_to_the_end(engine)
