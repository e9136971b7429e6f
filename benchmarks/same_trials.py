"""Checks that the programs side by side are given the same work: images, space, initial weights, optimizer."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import optuna
from fit_loop import BATCH_SIZE, WARMUP_EPOCHS, Work, build_model, suggest

from sweep import data
from sweep.config.trial import TrialConfig
from sweep.engines import optimizers
from sweep.models import build as models
from sweep.space.file import load_space
from sweep.space.space import Space


def check_same_work(work: Work, space_file: Path, *, with_packed: bool) -> None:
    """AssertionError unless the loop and the space file describe the same trials, for one config drawn anew."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = load_space(space_file)
    trial = optuna.create_study().ask()
    params = suggest(trial, work)
    config = space.resolve(params, seed=1)
    assert config.data == work.data
    assert config.training.batch_size == BATCH_SIZE
    assert config.training.epochs == work.epochs
    _check_same_search(space, trial, work)
    weights = _check_same_model(config, params, work)
    if with_packed:
        _check_packed(config, weights)


def _check_same_search(space: Space, trial: optuna.Trial, work: Work) -> None:
    """Sampler, pruner, and the distribution of each parameter, in the same order."""
    assert space.sampler.name == ("tpe" if work.is_adaptive else "random")
    pruner = {"n_startup_trials": 5, "n_warmup_steps": WARMUP_EPOCHS}
    assert space.pruner.name == ("median" if work.is_adaptive else "none")
    assert space.pruner.options == (pruner if work.is_adaptive else {})
    ours = optuna.create_study().ask()
    space.suggest(ours)
    assert list(ours.distributions.items()) == list(trial.distributions.items())


def _check_same_model(config: TrialConfig, params: dict[str, Any], work: Work) -> list[Any]:
    """Weights bit for bit, and the optimizer; returns the weights."""
    dataset = data.load(config.data)
    ours = models.build_model(config, dataset.image_shape, dataset.num_classes)
    optimizer = optimizers.build_optimizer(config.optimizer, config.schedule, total_steps=1)
    weights: list[Any] = ours.get_weights()
    keras.utils.set_random_seed(config.training.seed)
    theirs = build_model(params, work, dataset)
    assert ours.count_params() == theirs.count_params()
    _check_equal(weights, theirs.get_weights())
    assert {**optimizer.get_config(), "name": ""} == {**theirs.optimizer.get_config(), "name": ""}
    return weights


def _check_packed(config: TrialConfig, weights: list[Any]) -> None:
    """A lane starts from the same weights."""
    from sweep.engines.packed.engine import PackedEngine

    engine = PackedEngine(1, 1, lambda: None)
    engine.admit(0, config)
    _check_equal(weights, engine.model(0).get_weights())
    engine.evict(0)


def _check_equal(ours: list[Any], theirs: list[Any]) -> None:
    assert all(np.array_equal(*pair) for pair in zip(ours, theirs, strict=True)), "initial weights differ"
