"""The objective as a plain Optuna objective, for people with their own `study.optimize(...)`.

    import optuna, sweep
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner())
    study.optimize(sweep.Objective("search_spaces/cnn_digits.toml"), n_trials=30)

It trains through the same sequential engine as `sweep run`, with a Keras pruning callback.
"""

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import optuna

from sweep.config.trial import TrialConfig
from sweep.data import load
from sweep.engines.base import EpochMetrics, run_values
from sweep.engines.devices import has_fast_bfloat16
from sweep.errors import SpaceError, SweepError
from sweep.plugins.users_code import look_in
from sweep.space.checks import check_feature_maps
from sweep.space.file import load_space
from sweep.space.runs import derived_seed, trial_values
from sweep.tuning.keras_callback import CallbackFactory, Callbacks, PruningCallback

_TRAINING = threading.RLock()  # Keras's seeds, session and precision are the process's, not a thread's


class Objective:
    """trial -> the space's metric (a tuple of several), at the epoch whose weights are kept.

    A trial's score depends on its params and its number alone. Under `study.optimize(n_jobs=2)` one trial trains at a
    time, so the scores are those of `n_jobs=1`, and so is the speed: trials are trained side by side by `sweep run`.
    Optuna does not prune for several objectives.

    Args:
        space: A space file. A builder that it names is your code, which is run; it is found as by `sweep run`: in the
            working directory, else in the file's folder, before installed modules.
        overrides: `section.key=value` each, instead of what the file says.
        seed: Of weights and minibatches; without one, the file's.
        callbacks: Keras callbacks, of which each training gets copies; or a function of the trial that returns new
            ones. A function that returns the same one each time shares it among all trials.

    Raises:
        SpaceError: The file is wrong.
        InputError: A callback cannot be copied, or has a hook for minibatches, which would never be called.
    """

    def __init__(
        self, space: str | Path, overrides: Iterable[str] = (), seed: int | None = None, callbacks: Callbacks = ()
    ) -> None:
        self.space = load_space(Path(space), overrides)
        if self.space.function is not None:
            raise SpaceError(f"{space}: study.function: is an objective by itself; call {self.space.function} in yours")
        if self.space.users_code is not None:
            look_in(Path(space).resolve().parent, Path.cwd())
        self._seed = self.space.study.seed if seed is None else seed
        self._callbacks = CallbackFactory(callbacks)
        for data in self.space.data_configs():
            check_feature_maps(self.space, load(data).image_shape)

    def __call__(self, trial: optuna.Trial) -> float | tuple[float, ...]:
        """Suggest, build, train; raises `optuna.TrialPruned`, or SweepError if a loss is NaN or infinite."""
        seed = derived_seed(self._seed, trial.number)
        config = self.space.resolve(self.space.suggest(trial), seed)
        with _TRAINING:
            runs = self.space.plan.runs(self._explicit(config))
            values = self._one_run(trial, runs[0]) if len(runs) == 1 else self._several_runs(trial, runs)
        return values[0] if len(values) == 1 else tuple(values)

    def _explicit(self, config: TrialConfig) -> TrialConfig:
        """With what `precision = "auto"` means in this process."""
        if config.training.precision != "auto":
            return config
        return config.with_precision("mixed_bfloat16" if has_fast_bfloat16() else "float32")

    def _one_run(self, trial: optuna.Trial, config: TrialConfig) -> list[float]:
        """Each epoch is reported, where there is one objective that is no timing."""
        metrics = self.space.metrics
        pruning = [PruningCallback(trial, metrics[0])] if len(metrics) == 1 and not self.space.is_timed else []
        values = self._train(config, [*self._callbacks(trial), *pruning])
        for callback in pruning:
            callback.raise_if_pruned()
        return values

    def _several_runs(self, trial: optuna.Trial, runs: Sequence[TrialConfig]) -> list[float]:
        """Each run's score is reported, as step 0, 1, ..., where there is one objective."""
        values: list[list[float]] = []
        for step, run in enumerate(runs):
            values.append(self._train(run, self._callbacks(trial)))
            if len(self.space.metrics) == 1:
                trial.report(values[-1][0], step)
                if step + 1 < len(runs) and trial.should_prune():
                    raise optuna.TrialPruned(f"pruned after run {step + 1}")
        return trial_values(values)

    def _train(self, config: TrialConfig, callbacks: Sequence[Any]) -> list[float]:
        """One run's values, by objective."""
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
        return run_values(history, self.space.metrics)
