"""The test part is checked before it is needed, which is after the training: shape, dtype, scale, labels."""

import numpy as np
import pytest

from sweep.config.trial import TrialConfig
from sweep.data import load, load_raw_test
from sweep.errors import DataError
from sweep.results.retrain import Retraining

UINT8 = np.random.default_rng(0).integers(0, 256, (60, 6, 6, 1)).astype(np.uint8)
FLOATS = (UINT8 / 255).astype(np.float32)
LABELS = np.arange(60) % 3
WRONG = {
    "floats beside uint8": ({"x_test": FLOATS}, "float32 from 0 to 1"),
    "uint8 beside floats": ({"x_train": FLOATS}, "uint8 from 0 to 255"),
    "floats of another scale": ({"x_train": FLOATS, "x_test": FLOATS * 255}, "from 0 to 255"),
    "floats around zero": ({"x_train": FLOATS, "x_test": FLOATS * 2 - 1}, "from -1 to 1"),
    "more channels": ({"x_test": np.repeat(UINT8, 3, axis=3)}, "(6, 6, 3)"),
    "another size": ({"x_test": UINT8[:, :5]}, "(5, 6, 1)"),
    "a label of its own": ({"y_test": np.arange(60) % 4}, "3"),
    "NaN": ({"x_train": FLOATS, "x_test": FLOATS * np.float32(np.nan)}, "NaN"),
}


def make_config(path, arrays, **data):
    np.savez(path, **{"x_train": UINT8, "y_train": LABELS, "x_test": UINT8, "y_test": LABELS, **arrays})
    training, model = {"epochs": 1}, {"family": "mlp", "hidden_units": [4]}
    return TrialConfig.from_values(
        {"data": {"name": "npz", "path": str(path), **data}, "training": training, "model": model}, "test"
    )


@pytest.mark.parametrize("validation", ["split", "test"])
@pytest.mark.parametrize("case", WRONG)
def test_a_test_part_of_another_kind_is_refused_before_the_first_epoch(tmp_path, case, validation):
    arrays, shown = WRONG[case]
    config, lines = make_config(tmp_path / "mine.npz", arrays, validation=validation), []
    with pytest.raises(DataError) as caught:
        Retraining(config, 1, tmp_path / "models", lines.append).run()
    assert shown in str(caught.value)
    assert lines == []


@pytest.mark.parametrize("case", ["floats beside uint8", "a label of its own"])
def test_a_sweep_does_not_look_at_the_test_part(tmp_path, case):
    load(make_config(tmp_path / "mine.npz", WRONG[case][0]).data)


def test_integers_of_another_size_and_darker_images_are_alike(tmp_path):
    config = make_config(tmp_path / "mine.npz", {"x_test": (UINT8 // 2).astype(np.int64)})
    scaled = load(config.data).scaling(load_raw_test(config.data)[0])
    assert scaled.max() == pytest.approx(127 / 255)
