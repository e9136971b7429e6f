"""Show what `sweep confirm` found: both ranks, the scores with new seeds, and the conclusions."""

import plotly.graph_objects as go

from sweep.results.confirmation_table import COLUMNS, rows
from sweep.results.report.data import StudyData
from sweep.results.report.figures import COLORS, MIDDLE, figure_box, rounded, value_axis
from sweep.results.report.formatting import paragraph, plot_text
from sweep.results.report.page import Section
from sweep.results.report.tables import table
from sweep.space.functions import BUILT_IN
from sweep.storage.stored_trials import section


def sections(data: StudyData) -> list[Section]:
    """Make the section on the confirmation, or on how to confirm.

    Args:
        data: The study.

    Returns:
        One section, or none for a study that cannot be confirmed.
    """
    confirmed = data.confirmation
    if confirmed is not None:
        conclusions = [paragraph(f"{line[0].upper()}{line[1:]}.") for line in confirmed.conclusions()]
        return [Section("Confirmation", [*conclusions, table(COLUMNS, rows(confirmed)), _figure(data)])]
    space = section(data.settings, "space")
    if not data.complete or not space or space.get("function") in BUILT_IN:
        return []
    text = (
        "Not confirmed. The best score is biased upward by selection; "
        f"`sweep confirm {data.name}` trains the best trials with new seeds and gives an unbiased estimate."
    )
    return [Section("Confirmation", [paragraph(text, "empty")])]


def _figure(data: StudyData) -> str:
    assert data.confirmation is not None
    shown = [one for one in (*data.confirmation.ranking, *data.confirmation.unranked) if one.scores]
    names = [f"trial {one.trial}" for one in shown]
    figure = go.Figure(layout={"xaxis": {"type": "category", "categoryarray": names}})
    seeds = [(name, score) for name, one in zip(names, shown, strict=True) for score in one.scores.values()]
    figure.add_scatter(
        x=[name for name, _ in seeds],
        y=rounded(score for _, score in seeds),
        name="new seeds",
        mode="markers",
        marker={"color": COLORS[0], "size": 7, "opacity": 0.7},
    )
    figure.add_scatter(
        x=names,
        y=rounded(one.mean for one in shown),
        error_y={"type": "data", "array": rounded(one.interval.high - one.mean for one in shown)},
        name=plot_text("mean, 95 % interval"),
        mode="markers",
        marker={"color": COLORS[2], "size": 10, "symbol": "diamond"},
    )
    figure.add_scatter(
        x=names,
        y=rounded(one.score_in_sweep for one in shown),
        name="in the sweep",
        mode="markers",
        marker={"color": COLORS[1], "size": 10, "symbol": "x"},
    )
    values = [score for _, score in seeds] + [one.score_in_sweep for one in shown]
    figure.update_layout(yaxis=value_axis(plot_text(data.metric), values), showlegend=True)
    return figure_box(figure, MIDDLE)
