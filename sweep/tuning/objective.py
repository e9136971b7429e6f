"""Use a space file as a plain Optuna objective in your own `study.optimize(...)`.

    import optuna, sweep
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner())
    study.optimize(sweep.Objective("search_spaces/cnn_digits.toml"), n_trials=30)

It trains by the same sequential engine as `sweep run`, with a Keras pruning callback, and stores in the study what
`sweep show`, `report`, `export`, `confirm` and `retrain --verify` need.
"""

import threading
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import optuna

from sweep.config.training import Precision
from sweep.config.trial import TrialConfig
from sweep.data import load
from sweep.engines.base import not_finite_line
from sweep.engines.devices import device_in_use
from sweep.errors import SpaceError, SweepError
from sweep.pareto import RUN_VALUES
from sweep.plugins.user_code import prepend_to_path
from sweep.space.checks import check_data
from sweep.space.file import load_space
from sweep.space.runs import derived_seed, trial_values
from sweep.tuning.described_study import check_directions, describe_study
from sweep.tuning.keras_callback import CallbackFactory, Callbacks, PruningCallback
from sweep.tuning.reported import Reported
from sweep.tuning.running_trial import RunningTrial

_TRAINING = threading.RLock()  # Keras's seeds, session and precision are global, so trials train one at a time


class Objective:
    """An Optuna objective that trains a Keras model with sampled values.

    It returns the metric of the space (a tuple for several) at the epoch whose weights are kept. The score depends only
    on the parameters and the number of the trial. With `study.optimize(n_jobs=2)` trials still train one at a time, so
    that scores are those of `n_jobs=1`; `sweep run` trains trials concurrently. Optuna does not prune multi-objective
    studies.

    Args:
        space: Path of a space file. User code that it refers to is imported from the working directory, else from the
            folder of the file.
        overrides: Values such as `"training.epochs=5"` that replace the file's.
        seed: Seed of weights and minibatches. Default: the file's.
        callbacks: Keras callbacks, which are copied for each training; or a function of the trial that returns new
            callbacks.

    Raises:
        SpaceError: The file is invalid.
        InputError: A callback cannot be copied, or has a hook for minibatches, which would never be called.
    """

    def __init__(
        self, space: str | Path, overrides: Iterable[str] = (), seed: int | None = None, callbacks: Callbacks = ()
    ) -> None:
        self.space = load_space(Path(space), overrides)
        if self.space.function is not None:
            raise SpaceError(f"{space}: study.function: is an objective by itself; call {self.space.function} in yours")
        if self.space.user_code:
            prepend_to_path(Path(space).resolve().parent, Path.cwd())
        self._seed = self.space.study.seed if seed is None else seed
        self._callbacks = CallbackFactory(callbacks)
        self._reported = Reported.of(self.space)
        self._described: dict[str, bool] = {}  # by name of the study
        for data in self.space.data_configs():
            dataset = load(data)
            check_data(self.space, dataset.image_shape, dataset.class_names)

    def __call__(self, trial: optuna.Trial) -> float | tuple[float, ...]:
        """Sample the parameters, build the model and train it.

        Args:
            trial: The Optuna trial.

        Returns:
            The score; a tuple for several metrics.

        Raises:
            optuna.TrialPruned: The pruner stopped the trial.
            SweepError: A loss is NaN or infinite.
        """
        seed = derived_seed(self._seed, trial.number)
        config = self.space.resolve(self.space.suggest(trial), seed)
        with _TRAINING:
            is_described = self._describe(trial.study)
            trial.set_user_attr("seed", seed)
            training = RunningTrial(trial.number, self.space.plan.runs(self._explicit(config)))
            try:
                train = self._train_one_run if len(training.runs) == 1 else self._train_several_runs
                values = train(trial, training)
            finally:
                if is_described:  # otherwise `sweep export` would write the config of another space
                    trial.set_user_attr("history", training.records())
        return values[0] if len(values) == 1 else tuple(values)

    def _describe(self, study: optuna.Study) -> bool:
        """Store the settings that `sweep export`, `confirm` and `retrain` read, once for each study.

        Returns:
            Whether the study has these settings.

        Raises:
            StudyError: The study's directions are not those of the space's metrics.
        """
        if study.study_name in self._described:
            return self._described[study.study_name]
        check_directions(study, self.space)
        described = describe_study(study, self.space.with_precision(self._precision()), self._seed)
        if not described:
            warnings.warn(
                f"study {study.study_name} has other settings than {self.space.source}: its new trials can be "
                "used by plain Optuna only; sweep export and confirm need one study for each space",
                stacklevel=3,
            )
        self._described[study.study_name] = described
        return described

    def _explicit(self, config: TrialConfig) -> TrialConfig:
        """Return the config with an explicit precision in place of "auto"."""
        return config.with_precision(self._precision()) if config.training.precision == "auto" else config

    def _precision(self) -> Precision:
        return "mixed_bfloat16" if device_in_use().has_fast_bfloat16 else "float32"

    def _train_one_run(self, trial: optuna.Trial, training: RunningTrial) -> list[float]:
        """Train the trial's only run. Report each epoch if there is a single objective that is not a timing."""
        is_reported = len(self.space.metrics) == 1 and not self.space.is_timed
        pruning = [PruningCallback(trial, self._reported.metric, self._reported.sign)] if is_reported else []
        self._train(training, [*self._callbacks(trial), *pruning])
        for callback in pruning:
            callback.raise_if_pruned()
        return trial_values(training.values)

    def _train_several_runs(self, trial: optuna.Trial, training: RunningTrial) -> list[float]:
        """Train the trial's runs. Report the score of each, at step 0, 1, ..., if there is a single objective."""
        num_runs = len(training.runs)
        for step in range(num_runs):
            self._train(training, self._callbacks(trial))
            if len(self.space.metrics) == 1:
                trial.report(self._reported.of_run(training.histories[-1]), step)
                if step + 1 < num_runs and trial.should_prune():
                    raise optuna.TrialPruned(f"pruned after run {step + 1}")
        trial.set_user_attr(RUN_VALUES, training.values)
        return trial_values(training.values)

    def _train(self, training: RunningTrial, callbacks: Sequence[Any]) -> None:
        """Train the trial's next run."""
        from sweep.engines.sequential import SequentialEngine

        engine = SequentialEngine(callbacks)
        config = training.begin_run()
        assert isinstance(config, TrialConfig)
        engine.admit(0, config)
        try:
            while metrics := engine.train_epoch():
                training.add(metrics[0], self.space.metrics)
                if metrics[0].not_finite():
                    raise SweepError(not_finite_line(metrics[0]))
        finally:
            engine.evict(0)
