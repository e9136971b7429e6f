"""The objective as a plain Optuna objective, for people with their own `study.optimize(...)`.

    import optuna, sweep
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner())
    study.optimize(sweep.Objective("search_spaces/cnn_digits.toml"), n_trials=30)

It trains through the same sequential engine as `sweep run`, with a Keras pruning callback.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import optuna

from sweep.callbacks import PruningCallback
from sweep.datasets import load
from sweep.engines.base import EpochMetrics, run_values
from sweep.errors import SpaceError, SweepError
from sweep.samplers import derived_seed
from sweep.search_space import check_feature_maps, load_space


class Objective:
    """trial -> the space's metric (a tuple of several), at the epoch whose weights are kept.

    Optuna does not prune for several objectives. SpaceError at once if the file is wrong.
    """

    def __init__(
        self, space: str | Path, overrides: Iterable[str] = (), seed: int | None = None, callbacks: Sequence[Any] = ()
    ) -> None:
        self.space = load_space(Path(space), overrides)
        if self.space.function is not None:
            raise SpaceError(f"{space}: study.function: is an objective by itself; call {self.space.function} in yours")
        self._seed = self.space.study.seed if seed is None else seed
        self._callbacks = callbacks
        for data in self.space.data_configs():
            check_feature_maps(self.space, load(data).image_shape)

    def __call__(self, trial: optuna.Trial) -> float | tuple[float, ...]:
        """Suggest, build, train; raises `optuna.TrialPruned`, or SweepError if a loss is NaN or infinite."""
        from sweep.engines.sequential import SequentialEngine

        config = self.space.resolve(self.space.suggest(trial), derived_seed(self._seed, trial.number))
        metrics = self.space.metrics
        pruning = [PruningCallback(trial, metrics[0])] if len(metrics) == 1 and not self.space.is_timed else []
        engine = SequentialEngine([*self._callbacks, *pruning])
        engine.admit(0, config)
        try:
            history = self._train(engine)
        finally:
            engine.evict(0)
        for callback in pruning:
            callback.raise_if_pruned()
        values = run_values(history, metrics)
        return values[0] if len(values) == 1 else tuple(values)

    def _train(self, engine: Any) -> list[EpochMetrics]:
        history: list[EpochMetrics] = []
        while metrics := engine.train_epoch():
            history.append(metrics[0])
            if metrics[0].diverged():
                raise SweepError(f"the loss is not finite after epoch {metrics[0].epoch}")
        return history
