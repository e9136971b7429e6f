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
from sweep.config import TrialConfig
from sweep.datasets import load
from sweep.engines.base import EpochMetrics
from sweep.errors import SweepError
from sweep.runs import derived_seed, trial_score
from sweep.search_space import check_feature_maps, load_space


class Objective:
    """trial -> the space's metric, at the epoch whose weights are kept. SpaceError at once if the file is wrong."""

    def __init__(
        self, space: str | Path, overrides: Iterable[str] = (), seed: int | None = None, callbacks: Sequence[Any] = ()
    ) -> None:
        self.space = load_space(Path(space), overrides)
        self._seed = self.space.study.seed if seed is None else seed
        self._callbacks = callbacks
        for data in self.space.data_configs():
            check_feature_maps(self.space, load(data).image_shape)

    def __call__(self, trial: optuna.Trial) -> float:
        """Suggest, build, train; raises `optuna.TrialPruned`, or SweepError if a loss is NaN or infinite."""
        config = self.space.resolve(self.space.suggest(trial), derived_seed(self._seed, trial.number))
        runs = self.space.plan.runs(config)
        if len(runs) > 1:
            return self._mean_of_runs(trial, runs)
        pruning = PruningCallback(trial, self.space.study.metric)
        score = self._train(config, [*self._callbacks, pruning])
        pruning.raise_if_pruned()
        return score

    def _mean_of_runs(self, trial: optuna.Trial, runs: Sequence[TrialConfig]) -> float:
        """Each run's score is reported, as step 1, 2, ..."""
        scores: list[float] = []
        for step, run in enumerate(runs, start=1):
            scores.append(self._train(run, self._callbacks))
            trial.report(scores[-1], step)
            if step < len(runs) and trial.should_prune():
                raise optuna.TrialPruned(f"pruned after run {step}")
        return trial_score(scores, is_complete=True)

    def _train(self, config: TrialConfig, callbacks: Sequence[Any]) -> float:
        """One run's score: of the epoch whose weights are kept."""
        from sweep.engines.sequential import SequentialEngine

        engine = SequentialEngine(callbacks)
        engine.admit(0, config)
        history: list[EpochMetrics] = []
        try:
            while metrics := engine.train_epoch():
                history.append(metrics[0])
                if metrics[0].diverged():
                    raise SweepError(f"the loss is not finite after epoch {metrics[0].epoch}")
        finally:
            engine.evict(0)
        return float(getattr(history[history[-1].best_epoch - 1], self.space.study.metric))
