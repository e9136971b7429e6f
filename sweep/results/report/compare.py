"""Compare studies at equal budget: best value by finished trials, and by epochs trained."""

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from sweep.results.report.data import StudyData, best_so_far, num_epochs
from sweep.results.report.figures import LARGE, figure_box, grid, rounded, value_axis
from sweep.results.report.formatting import paragraph, plot_text, short
from sweep.results.report.page import section
from sweep.results.report.tables import table


@dataclass(frozen=True)
class BestValues:
    """A study's best value after each finished trial, in the order in which the trials finished.

    Attributes:
        name: The study's name.
        best: The best value after each trial; NaN before the first COMPLETE one.
        epochs: The epochs trained up to the end of each trial.
    """

    name: str
    best: list[float]
    epochs: list[int]

    def after_trials(self, budget: int) -> float:
        """Return the best value after a number of finished trials.

        Args:
            budget: Number of finished trials, at most those of the study.

        Returns:
            The value; NaN if no trial was COMPLETE by then.
        """
        return self.best[budget - 1] if budget else math.nan

    def after_epochs(self, budget: int) -> float:
        """Return the best value after a number of epochs.

        Args:
            budget: Number of epochs, over all trials.

        Returns:
            The best value of the trials that finished within them; NaN if none was COMPLETE.
        """
        return self.after_trials(bisect.bisect_right(self.epochs, budget))


@section("Comparison at equal budget")
def comparison(studies: Sequence[StudyData]) -> list[str]:
    """Draw the best values of the studies, and list them at the largest budget that all studies reached.

    Args:
        studies: The studies, each with a single objective.

    Returns:
        The section.
    """
    curves = [best_values(data) for data in studies]
    parts = [paragraph(warning, "warning") for warning in _differences(studies)]
    num_trials = min(len(one.best) for one in curves)
    epochs = min(one.epochs[-1] if one.epochs else 0 for one in curves)
    if not num_trials:
        parts.append(paragraph("No comparison: a study has no finished trial yet.", "empty"))
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
            for data, one in zip(studies, curves, strict=True)
        ]
        columns = ["study", "finished trials", "epochs", "best value", f"best after {num_trials:,} trials"]
        parts.append(
            table([*columns, f"best after {epochs:,} epochs"], [[_dash(cell) for cell in row] for row in rows])
        )
    metric = studies[0].metric
    boxes = [
        _figure(metric, "finished trials", [(one, list(range(1, len(one.best) + 1))) for one in curves]),
        _figure(metric, "epochs trained", [(one, one.epochs) for one in curves]),
    ]
    note = (
        "Best value of COMPLETE trials, in the order in which trials finished; PRUNED and FAIL trials count as budget."
    )
    return [*parts, grid(boxes), paragraph(note, "note")]


def best_values(data: StudyData) -> BestValues:
    """Compute the best value after each finished trial, PRUNED and FAIL ones included.

    Args:
        data: The study.

    Returns:
        Best values and epochs.
    """
    epochs = list(itertools.accumulate(num_epochs(trial) for trial in data.finished))
    return BestValues(data.name, best_so_far(data, data.finished), epochs)


def _dash(cell: str | float) -> str | float:
    return "-" if isinstance(cell, float) and math.isnan(cell) else cell


def _differences(studies: Sequence[StudyData]) -> list[str]:
    """Return a warning for each study whose values cannot be compared with the first one's."""
    first, warnings = studies[0], []
    for other in studies[1:]:
        pairs = {
            "metric": (first.metric, other.metric),
            "direction": (first.maximize, other.maximize),
            "data hash": (first.settings.get("data_hash"), other.settings.get("data_hash")),
        }
        different = [name for name, (here, there) in pairs.items() if here != there]
        if different:
            warnings.append(f"Not comparable: {other.name} has another {' and '.join(different)} than {first.name}.")
    return [short(warning) for warning in warnings]


def _figure(metric: str, budget: str, lines: list[tuple[BestValues, list[int]]]) -> str:
    figure = go.Figure(layout={"xaxis": {"title": {"text": budget}}})
    for one, steps in lines:
        changes = [i for i, value in enumerate(one.best) if i in (0, len(one.best) - 1) or value != one.best[i - 1]]
        figure.add_scatter(
            x=[steps[i] for i in changes],
            y=rounded(one.best[i] for i in changes),
            name=plot_text(one.name),
            mode="lines",
            line={"shape": "hv"},
        )
    figure.update_layout(yaxis=value_axis(plot_text(metric), [value for one, _ in lines for value in one.best]))
    return figure_box(figure.update_layout(showlegend=True), LARGE)
