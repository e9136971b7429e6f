"""Try a user's model and metrics before the sweep: on a few images, with a few of the configs that trials will have."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from sweep.config.trial import TrialConfig
from sweep.data import load
from sweep.errors import InputError, SpaceError, ends_process
from sweep.models.family import user_model_label
from sweep.text import error_line

MAX_PROBED = 8  # configs; the trials check their models once more
PROBE_S = 2.0  # after which no other one is begun


def configs_to_probe(configs: Iterable[TrialConfig]) -> list[dict[str, Any]]:
    """Of configs with code that is not ours or metrics, those whose model, data or loss differ: the first few."""
    distinct: dict[str, TrialConfig] = {}
    for config in configs:
        if config.model.user_code is not None or config.training.computed_metrics:
            distinct.setdefault(
                repr((config.model, config.data, config.training.from_logits, config.fine_tuning.freeze)), config
            )
    return [config.values() for config in list(distinct.values())[:MAX_PROBED]]


def probe(configs: Sequence[Mapping[str, Any]]) -> None:
    """Try their metrics on random probabilities; build their models and give them images.

    Args:
        configs: As `configs_to_probe` gives them.

    Raises:
        SpaceError: The code cannot be imported, or it raises whatever it is given. What it raises for some options
            ends the trials that have these.
        ModelError: A model does not fit the data or the loss.
    """
    tried = [TrialConfig.from_values(dict(values), "a config of the space") for values in configs]
    if tried:
        probe_metrics(tried[0])
    with_code = [config for config in tried if config.model.user_code is not None]
    if with_code:  # otherwise Keras need not be imported, which takes seconds
        _probe_models(with_code)


def probe_metrics(config: TrialConfig) -> None:
    """Try the metrics on random probabilities for the images to validate on.

    Raises:
        SpaceError: One cannot be imported, or gives no number.
    """
    from sweep.metrics.scores import scores

    if not config.training.computed_metrics:
        return
    dataset = load(config.data)
    labels = dataset.labels[dataset.validation]
    outputs = np.random.default_rng(0).normal(size=(len(labels), dataset.num_classes))
    for name in config.training.computed_metrics:
        try:
            scores([name], labels, outputs, from_logits=True)
        except SpaceError:
            raise
        except BaseException as error:
            if ends_process(error):
                raise
            raise SpaceError(
                f"training.metrics: {name} does not return a score: {error_line(error)}; correct it"
            ) from None


def _probe_models(configs: Sequence[TrialConfig]) -> None:
    from sweep.models.build import build_checked

    started, num_tried, failures = time.monotonic(), 0, []
    for number, config in enumerate(configs):
        if number and time.monotonic() - started > PROBE_S:
            break
        num_tried += 1
        try:
            build_checked(config, load(config.data))
        except InputError:
            raise
        except BaseException as error:
            if ends_process(error):
                raise
            failures.append(error_line(error))
    if failures and len(failures) == num_tried:
        raise SpaceError(f"{user_model_label(configs[0].model)} does not build a model: {failures[0]}; correct it")
