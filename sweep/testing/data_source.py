"""What every data source has to fulfill, ours and a user's own.

from sweep.testing.data_source import DataSourceContract

class TestCircles(DataSourceContract):
    sections = ({"name": "circles:load"}, {"name": "circles:load", "options": {"size": 16}})
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

from sweep.config.data import DataConfig
from sweep.data import Dataset, clear_cache, load, load_raw_test


class DataSourceContract:
    """Inherit from it and name a few `[data]` sections; where they need a folder of the test's, override `configs`.

    Attributes:
        sections: Values of `[data]`, each with the name of the source.
    """

    sections: ClassVar[tuple[Mapping[str, Any], ...]] = ()

    @pytest.fixture
    def configs(self) -> list[DataConfig]:
        """Return a config of each of `sections`."""
        return [DataConfig.model_validate(dict(section)) for section in self.sections]

    @pytest.fixture
    def datasets(self, configs: list[DataConfig]) -> list[Dataset]:
        """Return what a sweep of each config loads."""
        clear_cache()
        return [load(config) for config in configs]

    def test_there_is_something_to_test(self, configs: list[DataConfig]) -> None:
        """A contract over no sections would pass."""
        assert configs

    def test_images_and_labels_can_be_trained_on(self, datasets: list[Dataset]) -> None:
        """A value that is not finite would make every loss NaN, and a class without training images is not learned."""
        for dataset in datasets:
            assert dataset.x_train.shape == (len(dataset.y_train), *dataset.image_shape)
            assert dataset.x_validation.shape == (len(dataset.y_validation), *dataset.image_shape)
            assert np.isfinite(dataset.x_train).all()
            assert np.isfinite(dataset.x_validation).all()
            assert {*np.unique(dataset.y_train)} == {*range(dataset.num_classes)}

    def test_every_call_returns_the_same_images(self, configs: list[DataConfig], datasets: list[Dataset]) -> None:
        """Each worker calls the source again, and so does a resumed sweep."""
        clear_cache()
        for config, dataset in zip(configs, datasets, strict=True):
            again = load(config)
            assert again.content_hash == dataset.content_hash
            np.testing.assert_array_equal(again.x_train, dataset.x_train)

    def test_the_test_part_fits_what_is_trained_on(self, configs: list[DataConfig], datasets: list[Dataset]) -> None:
        """The model that `retrain` saves is evaluated on it."""
        for config, dataset in zip(configs, datasets, strict=True):
            images, labels = load_raw_test(config)
            assert len(images) == len(labels) > 0
            assert (*images.shape[1:], 1)[:3] == dataset.image_shape
            assert {*np.unique(labels)} <= {*range(dataset.num_classes)}
