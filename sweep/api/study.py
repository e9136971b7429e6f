"""Provide `Study`: a stored study, with methods to report, confirm, export and retrain its trials."""

from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import optuna

from sweep.api.confirming import confirm_study
from sweep.api.reading import read_stored, url_of
from sweep.api.retraining import Retrained, retrain_config, verify_config
from sweep.api.scoring import score_study
from sweep.api.training import TrainingArguments, training_options
from sweep.config.study_name import study_folder
from sweep.data import clear_cache
from sweep.options import ConfirmOptions, DeviceOptions, RetrainOptions, StorageOptions
from sweep.results.confirmation import Confirmation
from sweep.results.export import export_trials
from sweep.results.report import make_page, write_page
from sweep.results.scoring import TrialScores
from sweep.results.stored_study import StoredStudy
from sweep.results.verify import Verification
from sweep.space.space import Space

if TYPE_CHECKING:
    import pandas


class Study:
    """A stored study, as returned by `sweep.run` and `sweep.load_study`.

    Args:
        name: Name of the study.
        storage: Where it is stored.
        say: Called with each line for the user.

    Raises:
        StudyError: There is no such study.
    """

    def __init__(self, name: str, storage: StorageOptions, say: Callable[[str], None] = print) -> None:
        self.name, self._options, self._say = name, storage, say
        self._stored  # noqa: B018  raises at once if there is no such study

    def __repr__(self) -> str:
        counts: dict[str, int] = {}
        for trial in self._stored.trials:
            counts[trial.state.name] = counts.get(trial.state.name, 0) + 1
        return f"<sweep.Study {self.name}: {', '.join(f'{n} {state}' for state, n in counts.items()) or 'no trials'}>"

    @cached_property
    def _stored(self) -> StoredStudy:
        return read_stored(self.name, self._options, self._say)

    def reload(self) -> "Study":
        """Return the study as it is stored now, with trials added since it was read.

        Returns:
            A new object.
        """
        return Study(self.name, self._options, self._say)

    @property
    def study(self) -> optuna.Study:
        """The `optuna.Study`, to read: for `optuna.visualization` and other functions that take a study."""
        return self._stored.study

    @property
    def space(self) -> Space:
        """The space that the trials are sampled from."""
        return self._stored.space

    @property
    def best_trial(self) -> optuna.trial.FrozenTrial:
        """The COMPLETE trial with the best score in the sweep, which is biased upward by selection; see `confirm`.

        Raises:
            ValueError: No trial is COMPLETE.
        """
        return self.study.best_trial

    @property
    def best_params(self) -> dict[str, Any]:
        """The params of `best_trial`."""
        return self.best_trial.params

    @property
    def confirmation(self) -> Confirmation | None:
        """The scores of `confirm`; None if there are none."""
        return self._stored.confirmation

    def dataframe(self) -> "pandas.DataFrame":
        """Return the trials as a table.

        Returns:
            A row for each trial, by number. The columns are number, state, each objective and each parameter by its
            name, and seconds (wall time).
        """
        import pandas as pd

        rows = [
            {
                "number": trial.number,
                "state": trial.state.name,
                **dict(zip_longest(self.space.metrics, trial.values or ())),
                **trial.params,
                "seconds": trial.duration.total_seconds() if trial.duration else None,
            }
            for trial in self._stored.trials
        ]
        return pd.DataFrame(rows)

    def score(self, *metrics: str) -> list[TrialScores]:
        """Compute metrics of the best trials from their stored predictions; nothing is trained.

        Args:
            metrics: Names of metrics, such as "f1_macro" or "my_module:my_function".

        Returns:
            The trials whose predictions are stored with the scores of their runs, best first by the first metric.

        Raises:
            InputError: There is no such metric, it cannot be computed, or there are no predictions.
        """
        return score_study(self._stored, metrics, self._options.studies, self._say)

    def report(self, out: str | Path | None = None, others: Sequence["Study"] = ()) -> Path:
        """Write a report of the study: one HTML page that works offline.

        Args:
            out: Path of the page. Default: `report.html` in the study's folder.
            others: Studies to compare it with at equal budget.

        Returns:
            The path of the page.

        Raises:
            InputError: The page cannot be written, or a multi-objective study would be compared.
        """
        path = Path(out) if out is not None else self._folder / "report.html"
        write_page(make_page([self.study, *(other.study for other in others)]), path)
        return path

    def confirm(
        self,
        top: int = 5,
        seeds: int = 10,
        *,
        again: bool = False,
        quiet: bool = False,
        **training: Unpack[TrainingArguments],
    ) -> Confirmation:
        """Train the best configs with new seeds, and compare them by scores that are not biased by selection.

        Args:
            top: Number of best COMPLETE trials.
            seeds: Number of seeds for each trial.
            again: Drop the scores that are stored, and train again.
            quiet: Print no progress.
            training: `engine`, `lanes`, `device`, `threads`, `workers`, `ray`, ... as for `sweep.run`.

        Returns:
            The scores; `conclusions()` compares them.

        Raises:
            InputError: No trial can be confirmed, or the stored scores were made with another engine, device or data.
        """
        options = training_options(training)
        clear_cache()  # files of images may have changed since an earlier call in this process
        chosen = ConfirmOptions(top, seeds, again, quiet, storage=self._options, **options)
        confirmation = confirm_study(self.name, chosen, _silent if quiet else self._say, self._say)
        self.__dict__.pop("_stored", None)
        return confirmation

    def export(self, top: int = 3, trials: Sequence[int] = (), out: str | Path | None = None) -> list[Path]:
        """Write trials as config files that record their provenance.

        Args:
            top: Number of best COMPLETE trials; ignored if `trials` are passed.
            trials: Numbers of trials.
            out: Output folder. Default: `configs` in the study's folder.

        Returns:
            The paths of the files, the best trial first.

        Raises:
            InputError: There is no such trial, or no COMPLETE one.
        """
        folder = Path(out) if out is not None else self._folder / "configs"
        if self._stored.family_code is not None:
            self._say(f"this runs your code: {self._stored.family_code}")
        return export_trials(self._stored, trials, top, folder)

    def retrain(
        self,
        trial: int | None = None,
        seeds: int = 1,
        *,
        train_on: str | None = None,
        out: str | Path | None = None,
        quiet: bool = False,
        **training: Unpack[TrainingArguments],
    ) -> Retrained:
        """Train a trial's config with one or more seeds, and evaluate each model on the test set.

        Args:
            trial: Number of the trial. Default: the best confirmed trial if there is one, else the best trial.
            seeds: Number of seeds.
            train_on: "train" or "train+validation". Default: the config's value.
            out: Output folder of the models. Default: `models/NAME` in the study's folder.
            quiet: Print no progress.
            training: `engine`, `lanes`, `device`, `threads`, `workers`, `ray`, ... as for `sweep.run`. Default: one
                seed after the other, with a checkpoint after each epoch.

        Returns:
            The folder, the scores and the model.

        Raises:
            InputError: There is no such trial, or its data or the folder of the models cannot be used.
        """
        clear_cache()
        (path,) = self.export(1, () if trial is None else (trial,))
        folder = None if out is None else Path(out)
        options = training_options(training)
        chosen = RetrainOptions(seeds, train_on, out=folder, storage=self._options, **options)
        return retrain_config(path, chosen, _silent if quiet else self._say)

    def verify(
        self,
        trial: int | None = None,
        tolerance: float | None = None,
        *,
        device: str = "auto",
        threads: int | None = None,
    ) -> Verification:
        """Repeat a trial's run of the sweep, and compare its score with the stored one.

        Args:
            trial: Number of the trial. Default: the best confirmed trial if there is one, else the best trial.
            tolerance: Largest difference of scores that is accepted. Default: 1e-6.
            device: "auto", "cpu" or "gpu:N".
            threads: Number of CPU threads. Default: the sweep's.

        Returns:
            Both scores.

        Raises:
            InputError: There is no such trial, or its run cannot be repeated here.
            ScoreMissed: The scores differ by more than the tolerance.
        """
        clear_cache()
        (path,) = self.export(1, () if trial is None else (trial,))
        options = RetrainOptions(
            verify=True, tolerance=tolerance, storage=self._options, device=DeviceOptions(device, threads=threads)
        )
        return verify_config(path, options, self._say)

    @property
    def _folder(self) -> Path:
        return study_folder(self._options.studies, self.name)

    @property
    def url(self) -> str:
        """The URL of the study's database."""
        return url_of(self._options)


def _silent(_: str) -> None:
    """Print nothing."""
