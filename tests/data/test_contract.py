"""Every source, ours and a user's, passes the contract in `sweep.testing`."""

import numpy as np
import pytest

from sweep.config.data import DataConfig
from sweep.data import Arrays, clear_cache
from sweep.testing.data_source import DataSourceContract


def stripes(num_images=60, size=6):
    """Images of two classes, which differ by a bright row."""
    labels = np.arange(num_images) % 2
    images = np.random.default_rng(0).integers(0, 100, (num_images, size, size), "uint8")
    images[np.arange(num_images), labels * 3] = 255
    return images, labels


def load_stripes(size=6):
    return Arrays(train=stripes(size=size), test=lambda: stripes(10, size), class_names=["top", "middle"])


class TestDigits(DataSourceContract):
    sections = ({"name": "digits"}, {"name": "digits", "num_train": 100, "scaling": "standard"})


class TestUsersFunction(DataSourceContract):
    sections = ({"name": f"{__name__}:load_stripes"}, {"name": f"{__name__}:load_stripes", "options": {"size": 9}})


class TestNpz(DataSourceContract):
    @pytest.fixture
    def configs(self, tmp_path):
        images, labels = stripes()
        np.savez(tmp_path / "whole.npz", x_train=images, y_train=labels)
        np.savez(tmp_path / "parts.npz", x_train=images, y_train=labels, x_test=images[:9], y_test=labels[:9])
        return [DataConfig(name="npz", path=str(tmp_path / name)) for name in ("whole.npz", "parts.npz")]


class TestMnist(DataSourceContract):
    @pytest.fixture
    def configs(self, mnist_folder):
        clear_cache()
        yield [DataConfig(name="mnist", path=str(mnist_folder), num_train=500, num_validation=200)]
        clear_cache()
