"""Write what optuna-dashboard shows in addition to trials: notes, and the learning curves of the best trials.

Both are study attributes in optuna-dashboard's format, text in numbered pieces. They are written without importing
optuna-dashboard, which takes over a second; a test reads them back with it. Notes that another program has written or
edited are not overwritten.
"""

import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweep.errors import Cause
from sweep.pareto import best_first
from sweep.space.objective import stored_objectives
from sweep.storage import STUDY_ID, WriteBehindStorage
from sweep.storage.optuna_internals import storage_of
from sweep.storage.stored_trials import epochs
from sweep.tuning.callback import Callback, SweepInfo

PIECE = 2045  # characters of each piece, as in optuna-dashboard
FIGURE = "dashboard:plot_data:learning_curves"
REFRESH_S = 30.0
MOST_TRIALS = 5
MOST_EPOCHS = 100  # points of a curve; a longer curve is subsampled
MOST_NOTES = 100  # notes on failed trials, as the dashboard sends all with each refresh
COLORS = ("#3366cc", "#dc3912", "#ff9900", "#109618", "#990099")
PANELS = (("accuracy", "y", [0.56, 1.0]), ("loss", "y2", [0.0, 0.44]))


def study_attrs(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the system attributes of a new study: the objective's name, and a note with the command and the space."""
    metrics = settings["space"].get("metrics", [settings["space"]["metric"]])
    return {"dashboard:objective_names": metrics, **_note(_study_text(settings))}


def rewrite_study_attrs(storage: WriteBehindStorage, settings: Mapping[str, Any]) -> None:
    """Update the attributes of `study_attrs`, inside a transaction, unless a user has edited the note.

    Args:
        storage: The study's storage.
        settings: The changed settings of the study.
    """
    if storage.stored_system_attrs().get("dashboard:note_ver", 1) == 1:
        _set_attrs(storage, study_attrs(settings), "dashboard:note_str")


def note_failure(storage: WriteBehindStorage, number: int, cause: str, traceback_tail: str) -> None:
    """Write a traceback as a note on a trial, as the dashboard shows attributes without line breaks.

    Nothing is written if the trial has a note, or the study `MOST_NOTES`.

    Args:
        storage: The study's storage, inside a transaction.
        number: Number of the trial.
        cause: The cause of failure, which is the heading.
        traceback_tail: The last lines of the traceback.
    """
    row = storage.row_id(number)
    stored = storage.stored_system_attrs()
    num_notes = sum(key.endswith(":note_ver") for key in stored)
    if num_notes < MOST_NOTES and f"dashboard:{row}:note_ver" not in stored:
        _set_attrs(storage, _note(f"**{cause}**\n\n{_fenced(traceback_tail)}\n", row))


class DashboardNotes(Callback):
    """Write notes on failed trials, and the learning curves of the best trials every `REFRESH_S` seconds."""

    ends_sweep = True  # as its errors are those of the database
    in_transaction = True

    def on_sweep_start(self, study: optuna.Study, info: SweepInfo) -> None:
        """Start the time until curves are drawn."""
        storage = storage_of(study)
        assert isinstance(storage, WriteBehindStorage)
        self._storage = storage
        self._next_s = time.monotonic() + REFRESH_S

    def on_epoch_end(self, number: int, epoch: int, logs: Mapping[str, float], run: int = 1) -> None:
        """Draw the curves if the time since the last drawing is up."""
        if time.monotonic() >= self._next_s:
            self._draw()

    def on_trial_end(self, trial: FrozenTrial) -> None:
        """Write a note with the traceback or log of a failed trial, unless its loss was not finite."""
        printed = trial.user_attrs.get("traceback") or trial.user_attrs.get("log")
        cause = trial.user_attrs.get("cause")
        if trial.state == TrialState.FAIL and cause not in (None, Cause.NAN) and printed:
            note_failure(self._storage, trial.number, cause, printed)

    def on_sweep_end(self, study: optuna.Study) -> None:
        """Draw the final curves."""
        self._draw()

    def _draw(self) -> None:
        self._next_s = time.monotonic() + REFRESH_S
        trials = self._storage.get_all_trials(STUDY_ID, deepcopy=False, states=(TrialState.COMPLETE,))
        trials = [trial for trial in trials if self._storage.is_ours(trial.number)]
        best = _best_trials(trials, self._storage.get_study_directions(STUDY_ID))
        if best:
            _set_attrs(self._storage, _pieces(FIGURE, json.dumps(learning_curves(best))), FIGURE)


def learning_curves(trials: Sequence[FrozenTrial]) -> dict[str, Any]:
    """Return a plotly figure as plain JSON: training and validation accuracy above their losses, by epoch."""
    traces = [
        _trace(trial, key, color, axis)
        for trial, color in zip(trials, COLORS, strict=False)
        for metric, axis, _ in PANELS
        for key in (metric, f"val_{metric}")
    ]
    axes = {f"{axis[0]}axis{axis[1:]}": {"title": {"text": name}, "domain": on} for name, axis, on in PANELS}
    layout = {
        "title": {"text": "Learning curves of the best trials (dotted: validation)", "x": 0, "font": {"size": 15}},
        "xaxis": {"title": {"text": "epoch"}, "anchor": "y2"},
        "margin": {"l": 60, "r": 20, "t": 50, "b": 45},
        **axes,
    }
    return {"data": traces, "layout": layout}


def _trace(trial: FrozenTrial, key: str, color: str, axis: str) -> dict[str, Any]:
    history = [*enumerate(epochs(trial), start=1)]  # several runs are drawn one after another
    shown = history[:: math.ceil(len(history) / MOST_EPOCHS)]
    if shown[-1] is not history[-1]:
        shown = [*shown, history[-1]]
    is_validation = key.startswith("val_")
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(shown) == 1 else "lines",
        "x": [number for number, _ in shown],
        "y": [_rounded(epoch.get(key)) for _, epoch in shown],
        "yaxis": axis,
        "name": f"trial {trial.number}",
        "legendgroup": str(trial.number),
        "showlegend": key == "accuracy",
        "line": {"color": color, "dash": "dot" if is_validation else "solid"},
    }


def _best_trials(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> list[FrozenTrial]:
    """Return the best trials that have learning curves, which trials of a function do not have."""
    with_curves = [trial for trial in trials if trial.values and "loss" in next(iter(epochs(trial)), {})]
    return best_first(with_curves, directions)[:MOST_TRIALS]


def _study_text(settings: Mapping[str, Any]) -> str:
    space = settings["space"]
    sections = {"study": {**stored_objectives(space), "seed": settings["seed"]}}
    sections |= {"sampler": settings["sampler"], "pruner": settings["pruner"], **space["fixed"]}
    fixed = "\n\n".join(_section(name, values) for name, values in sections.items() if values)
    where = f"Engine {settings['engine']}, device {settings['device']}, threads {settings['threads']}"
    versions = ", ".join(f"{package} {version}" for package, version in settings["versions"].items())
    toml = f"{fixed}\n\n{_section('space', space['space'])}"
    return f"**Made by**\n\n{_fenced(settings['command'])}\n\n{where}; {versions}\n\n{_fenced(toml, 'toml')}\n"


def _section(name: str, values: Mapping[str, Any]) -> str:
    return "\n".join([f"[{name}]", *(_toml_pair(key, value) for key, value in values.items() if value != {})])


def _toml_pair(key: str, value: Any) -> str:
    name = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)
    return f"{name} = {_toml(value)}"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_toml_pair(key, item) for key, item in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)


def _fenced(text: str, language: str = "") -> str:
    """Return a Markdown code block whose fence is longer than any in the text."""
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    stripped = text.strip("\n")
    return f"{fence}{language}\n{stripped}\n{fence}"


def _note(text: str, row: int | None = None) -> dict[str, Any]:
    """Return the attributes of a study's note, or of a note on the trial with this row id."""
    owner = "dashboard" if row is None else f"dashboard:{row}"
    return {f"{owner}:note_ver": 1, **_pieces(f"{owner}:note_str", text)}


def _pieces(key: str, text: str) -> dict[str, str]:
    return {f"{key}:{i // PIECE}": text[i : i + PIECE] for i in range(0, len(text), PIECE)}


def _set_attrs(storage: WriteBehindStorage, attrs: Mapping[str, Any], pieces_of: str = "") -> None:
    """Write attributes that have changed; with `pieces_of`, empty the remaining pieces of a longer previous text."""
    before = storage.get_study_system_attrs(STUDY_ID)
    emptied = {key: "" for key in before if pieces_of and key.startswith(f"{pieces_of}:") and key not in attrs}
    for key, value in {**attrs, **emptied}.items():
        if before.get(key) != value:
            storage.set_study_system_attr(STUDY_ID, key, value)


def _rounded(value: float | None) -> float | None:
    """Round to five significant digits; None for NaN and infinity, which JSON cannot represent."""
    return float(f"{value:.5g}") if isinstance(value, int | float) and math.isfinite(value) else None
