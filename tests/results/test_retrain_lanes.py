"""Seeds that train side by side, on packed lanes or in workers, give the models of the sequential engine."""

import keras
import numpy as np
import pytest
from ray_nodes import OF_ONE_CPU

from sweep.config.trial import TrialConfig
from sweep.data import load_raw_test
from sweep.engines.registry import make_engine
from sweep.executors.in_process import InProcessExecutor
from sweep.executors.local.workers import LocalWorkers
from sweep.executors.ray.workers import RayWorkers
from sweep.results.retrain import Retraining
from sweep.space.runs import seeds_from

CONFIG = TrialConfig.from_values(
    {
        "model": {"filters": [4], "dense_units": 8, "batch_norm": True},
        "optimizer": {"name": "adam"},
        "training": {"epochs": 2, "seed": 5},
    },
    "test",
)


def retrain(folder, make_executor=None, num_seeds=3):
    return Retraining(CONFIG, num_seeds, folder, lambda _: None, make_executor=make_executor).run()


@pytest.fixture(scope="module")
def sequential(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sequential")
    return folder, retrain(folder)


def packed():
    return InProcessExecutor(make_engine("packed", 3, 1, lambda: None))


def workers():
    made = LocalWorkers([{}, {}])
    made.set_up("cpu", 1)
    made.make("sequential", 1, 1)
    return made


def on_ray():
    made = RayWorkers(2, OF_ONE_CPU, {})
    made.set_up("cpu", 1)
    made.make("packed", 1, 1)
    return made


def check_models(sequential, folder, found):
    """Of the same seeds; losses, test scores and predictions as of one seed after another."""
    before_folder, expected = sequential
    images = load_raw_test(CONFIG.data)[0]
    assert [seed["seed"] for seed in found["seeds"]] == seeds_from(5, 3)
    for before, now in zip(expected["seeds"], found["seeds"], strict=True):
        losses, expected_losses = ([epoch["loss"] for epoch in seed["history"]] for seed in (now, before))
        assert losses == pytest.approx(expected_losses, rel=1e-4)
        assert now["test_loss"] == pytest.approx(before["test_loss"], rel=1e-3)
        place = "" if now["seed"] == 5 else f"seed-{now['seed']}"
        models = [keras.models.load_model(where / place / "model.keras") for where in (before_folder, folder)]
        first, second = (model.predict(images, verbose=0) for model in models)
        np.testing.assert_allclose(first, second, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("make_executor", [packed, workers])
def test_the_models_are_those_of_one_seed_after_another(tmp_path, sequential, make_executor):
    check_models(sequential, tmp_path, retrain(tmp_path, make_executor))


def test_the_models_of_workers_on_ray_are_the_same(ray_of_two_nodes, tmp_path, sequential):
    check_models(sequential, tmp_path, retrain(tmp_path, on_ray))


@pytest.mark.slow
def test_seeds_that_are_done_are_kept_whatever_trains_the_others(tmp_path):
    one = retrain(tmp_path, num_seeds=1)
    more = retrain(tmp_path, packed, num_seeds=2)
    assert more["seeds"][0] == one["seeds"][0]
    assert len(more["seeds"]) == 2
