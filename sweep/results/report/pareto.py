"""Make the sections of a multi-objective study: its Pareto front, and each objective separately."""

from dataclasses import replace

import plotly.graph_objects as go
from optuna.trial import FrozenTrial

from sweep.results.report import history, parameters
from sweep.results.report.data import StudyData, num_epochs
from sweep.results.report.figures import ACCENT, LARGE, STATE_COLORS, figure_box, grid, rounded, value_axis
from sweep.results.report.formatting import paragraph, plot_text, short
from sweep.results.report.page import Section, section
from sweep.results.report.samples import evenly_spaced, sample, sample_note
from sweep.results.report.tables import params_cells, table
from sweep.text import counted

MAX_POINTS = 2000
MAX_ROWS = 50
OMITTED = (
    "Sections that need a single objective are omitted: training curves of the best trial, parallel coordinates, "
    "contour plot, EDF and pruning. Each section below is of one objective."
)


@section("Pareto front")
def front(data: StudyData) -> list[str]:
    """Draw the COMPLETE trials by pairs of objectives, with the Pareto-optimal ones highlighted and listed.

    Args:
        data: The study.

    Returns:
        The section.
    """
    if not data.complete:
        return [paragraph("No trial is COMPLETE yet.", "empty")]
    best = data.pareto_front
    text = (
        f"Pareto-optimal: {len(best):,} of {counted(len(data.complete), 'COMPLETE trial')}. No other trial is at least "
        "as good in every objective and better in one."
    )
    numbers = {trial.number for trial in best}
    shown = sample(data, [trial for trial in data.complete if trial.number not in numbers], MAX_POINTS)
    boxes = [_figure(data, shown, evenly_spaced(best, MAX_POINTS), other) for other in range(1, len(data.metrics))]
    note = sample_note(len(shown), len(data.complete) - len(best), "trials that are not Pareto-optimal")
    notes = [paragraph(one, "note") for one in (note, OMITTED) if one]
    return [paragraph(text), grid(boxes), *_table(data, best), *notes]


def of_each_objective(data: StudyData) -> list[Section]:
    """Make the sections of each objective: history, importances and slice plots.

    Args:
        data: The study.

    Returns:
        The sections.
    """
    sections = []
    for number, metric in enumerate(data.metrics):
        one = data.of_objective(number)
        parts = [history.history(one), *parameters.importances_and_slices(one)]
        sections += [replace(part, title=f"{part.title}: {short(metric, 40)}") for part in parts]
    return sections


def _figure(data: StudyData, others: list[FrozenTrial], best: list[FrozenTrial], objective: int) -> str:
    """Draw the first objective against another one."""
    first, second = data.of_objective(0), data.of_objective(objective)
    figure = go.Figure()
    for trials, name, marker in (
        (others, "COMPLETE", {"color": STATE_COLORS["COMPLETE"], "size": 6, "opacity": 0.6}),
        (best, "Pareto-optimal", {"color": STATE_COLORS["PRUNED"], "size": 10, "line": {"color": ACCENT, "width": 1}}),
    ):
        figure.add_scatter(
            x=rounded(first.score(trial) for trial in trials),
            y=rounded(second.score(trial) for trial in trials),
            customdata=[trial.number for trial in trials],
            name=name,
            mode="markers",
            marker=marker,
            hovertemplate="trial %{customdata}: %{x}, %{y}<extra></extra>",
        )
    everything = [*others, *best]
    figure.update_layout(
        xaxis=value_axis(plot_text(first.metric), [first.score(trial) for trial in everything]),
        yaxis=value_axis(plot_text(second.metric), [second.score(trial) for trial in everything]),
        showlegend=True,
    )
    return figure_box(figure, LARGE)


def _table(data: StudyData, best: list[FrozenTrial]) -> list[str]:
    names = data.parameter_names
    rows = [
        [trial.number, *(trial.values or ()), num_epochs(trial), *params_cells(trial, names)]
        for trial in best[:MAX_ROWS]
    ]
    columns = ["trial", *(short(metric, 40) for metric in data.metrics), "epochs", *names]
    more = paragraph(f"The first {MAX_ROWS} of {len(best):,}.", "note") if len(best) > MAX_ROWS else ""
    return [table(columns, rows), more]
