"""Several studies at equal budget: best score against finished trials, and against epochs trained."""

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from sweep.results.report.data import StudyData, best_so_far, num_epochs
from sweep.results.report.figures import LARGE, figure_box, grid, rounded, value_axis
from sweep.results.report.page import section
from sweep.results.report.tables import table
from sweep.results.report.texts import paragraph, plot_text, short


@dataclass(frozen=True)
class Course:
    """A study's best value after each finished trial, and the epochs trained until then, in the order of their ends."""

    name: str
    best: list[float]
    epochs: list[int]

    def after_trials(self, budget: int) -> float:
        """The best value after so many finished trials; NaN without any."""
        return self.best[budget - 1] if budget else math.nan

    def after_epochs(self, budget: int) -> float:
        """The best value of the trials that had ended within so many epochs."""
        return self.after_trials(bisect.bisect_right(self.epochs, budget))


@section("Comparison at equal budget")
def comparison(studies: Sequence[StudyData]) -> list[str]:
    """A table at the budget that all have reached, and both curves."""
    courses = [course(data) for data in studies]
    parts = [paragraph(warning, "warning") for warning in _differences(studies)]
    num_trials = min(len(one.best) for one in courses)
    epochs = min(one.epochs[-1] if one.epochs else 0 for one in courses)
    if not num_trials:
        parts.append(paragraph("A study without a finished trial leaves no common budget to compare at.", "empty"))
    else:
        rows: list[list[str | float]] = [
            [
                data.name,
                len(one.best),
                one.epochs[-1],
                one.best[-1],
                one.after_trials(num_trials),
                one.after_epochs(epochs),
            ]
            for data, one in zip(studies, courses, strict=True)
        ]
        columns = ["study", "finished trials", "epochs", "best", f"best after {num_trials:,} trials"]
        parts.append(
            table([*columns, f"best after {epochs:,} epochs"], [[_dash(cell) for cell in row] for row in rows])
        )
    metric = studies[0].metric
    boxes = [
        _figure(metric, "finished trials", [(one, list(range(1, len(one.best) + 1))) for one in courses]),
        _figure(metric, "epochs trained", [(one, one.epochs) for one in courses]),
    ]
    note = "Best value so far of COMPLETE trials, in the order in which trials ended; pruned and failed ones count too."
    return [*parts, grid(boxes), paragraph(note, "note")]


def course(data: StudyData) -> Course:
    """Every finished trial counts, failed and pruned ones too."""
    epochs = list(itertools.accumulate(num_epochs(trial) for trial in data.finished))
    return Course(data.name, best_so_far(data, data.finished), epochs)


def _dash(cell: str | float) -> str | float:
    return "-" if isinstance(cell, float) and math.isnan(cell) else cell


def _differences(studies: Sequence[StudyData]) -> list[str]:
    """What makes scores of different studies mean different things."""
    first, warnings = studies[0], []
    for other in studies[1:]:
        pairs = {
            "metric": (first.metric, other.metric),
            "direction": (first.maximize, other.maximize),
            "data hash": (first.settings.get("data_hash"), other.settings.get("data_hash")),
        }
        unlike = [what for what, (here, there) in pairs.items() if here != there]
        if unlike:
            warnings.append(
                f"Not comparable as they stand: {other.name} has another {' and '.join(unlike)} than {first.name}."
            )
    return [short(warning) for warning in warnings]


def _figure(metric: str, budget: str, lines: list[tuple[Course, list[int]]]) -> str:
    figure = go.Figure(layout={"xaxis": {"title": {"text": budget}}})
    for one, steps in lines:
        turns = [i for i, value in enumerate(one.best) if i in (0, len(one.best) - 1) or value != one.best[i - 1]]
        figure.add_scatter(
            x=[steps[i] for i in turns],
            y=rounded(one.best[i] for i in turns),
            name=plot_text(one.name),
            mode="lines",
            line={"shape": "hv"},
        )
    figure.update_layout(yaxis=value_axis(plot_text(metric), [value for one, _ in lines for value in one.best]))
    return figure_box(figure.update_layout(showlegend=True), LARGE)
