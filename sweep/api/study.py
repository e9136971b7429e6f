"""`Study`: a study and all that can be done with it, from Python."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna

from sweep.api.confirming import confirm_study
from sweep.api.reading import read_stored, url_of
from sweep.api.retraining import Retrained, retrain_config
from sweep.config.study_name import study_folder
from sweep.options import ConfirmOptions, RetrainOptions, StorageOptions
from sweep.results.confirmation import Confirmation
from sweep.results.export import export_trials
from sweep.results.report import make_page, write_page
from sweep.results.stored_study import StoredStudy
from sweep.space.space import Space

if TYPE_CHECKING:
    import pandas


class Study:
    """A study that is stored, as `sweep.run` and `sweep.load_study` give it.

    Args:
        name: The study's.
        storage: Where it is.
        say: Takes each line that the user should read.
    """

    def __init__(self, name: str, storage: StorageOptions, say: Callable[[str], None] = print) -> None:
        self.name, self._options, self._say = name, storage, say
        self._stored  # noqa: B018  a wrong name is said at once

    def __repr__(self) -> str:
        counts: dict[str, int] = {}
        for trial in self._stored.trials:
            counts[trial.state.name] = counts.get(trial.state.name, 0) + 1
        return f"<sweep.Study {self.name}: {', '.join(f'{n} {state}' for state, n in counts.items()) or 'no trials'}>"

    @cached_property
    def _stored(self) -> StoredStudy:
        return read_stored(self.name, self._options, self._say)

    def reload(self) -> "Study":
        """The study as it is stored now."""
        return Study(self.name, self._options, self._say)

    @property
    def study(self) -> optuna.Study:
        """Optuna's own object, to read: for `optuna.visualization` and all else that takes a study."""
        return self._stored.study

    @property
    def space(self) -> Space:
        """What was swept."""
        return self._stored.space

    @property
    def best_trial(self) -> optuna.trial.FrozenTrial:
        """The best COMPLETE trial by its score in the sweep.

        Raises:
            ValueError: No trial is COMPLETE.
        """
        return self.study.best_trial

    @property
    def best_params(self) -> dict[str, Any]:
        """Of the best trial."""
        return self.best_trial.params

    @property
    def confirmation(self) -> Confirmation | None:
        """The scores from fresh seeds; None before `confirm`."""
        return self._stored.confirmation

    def dataframe(self) -> "pandas.DataFrame":
        """The trials, a row each, in the order of their numbers.

        Returns:
            Columns number, state, one for each objective by its name, one for each parameter by its name, seconds (of
            wall time).
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

    def report(self, out: str | Path | None = None, others: Sequence["Study"] = ()) -> Path:
        """Write the study as one offline HTML page.

        Args:
            out: The page; None for `report.html` in the study's folder.
            others: Studies to compare it with at equal budget.

        Returns:
            The page's path.
        """
        path = Path(out) if out is not None else self._folder / "report.html"
        write_page(make_page([self.study, *(other.study for other in others)]), path)
        return path

    def confirm(self, top: int = 5, seeds: int = 10, **options: Any) -> Confirmation:
        """Train the best configs from fresh seeds, and compare them.

        Args:
            top: The best COMPLETE trials that are trained again.
            seeds: Fresh seeds of each.
            options: Other fields of `ConfirmOptions`: `again`, `engine`, `device`, `workers`.

        Returns:
            All scores and what they say.
        """
        asked = ConfirmOptions(top=top, seeds=seeds, **{"storage": self._options, **options})
        confirmation = confirm_study(self.name, asked, self._say, self._say)
        self.__dict__.pop("_stored", None)
        return confirmation

    def export(self, top: int = 3, trials: Sequence[int] = (), out: str | Path | None = None) -> list[Path]:
        """Write trials as config files, with where they came from.

        Args:
            top: The best COMPLETE trials, where no `trials` are named.
            trials: Numbers of trials.
            out: The folder; None for `configs` in the study's folder.

        Returns:
            The files' paths, the best first.
        """
        folder = Path(out) if out is not None else self._folder / "configs"
        if self._stored.family_code is not None:
            self._say(f"this runs your code: {self._stored.family_code}")
        return export_trials(self._stored, trials, top, folder)

    def retrain(self, trial: int | None = None, seeds: int = 1, **options: Any) -> Retrained:
        """Train a trial's config from several seeds, and evaluate it on the test set.

        Args:
            trial: The trial's number; None for the best one (the best confirmed one, if there is a confirmation).
            seeds: Trainings, each from a seed of its own.
            options: Other fields of `RetrainOptions`: `train_on`, `out`, `device`.

        Returns:
            The folder, the scores and the model.
        """
        (path,) = self.export(1, () if trial is None else (trial,))
        asked = RetrainOptions(seeds=seeds, **{"storage": replace(self._options), **options})
        return retrain_config(path, asked, self._say)

    @property
    def _folder(self) -> Path:
        return study_folder(self._options.studies, self.name)

    @property
    def url(self) -> str:
        """Of the study's database."""
        return url_of(self._options)
