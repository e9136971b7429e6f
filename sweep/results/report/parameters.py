"""Make the sections on parameters from Optuna's figures, drawn from samples of the trials."""

import warnings
from collections.abc import Sequence
from typing import Any

import optuna
import plotly.graph_objects as go
from optuna.trial import FrozenTrial
from plotly.colors import sample_colorscale

from sweep.results.report.data import StudyData
from sweep.results.report.figures import COLORS, LARGE, MIDDLE, SMALL, figure_box, grid, log_axis
from sweep.results.report.formatting import paragraph, plot_text, short
from sweep.results.report.page import Section, section
from sweep.results.report.samples import EscapedStudy, sample, sample_note

MIN_FOR_IMPORTANCES = 10
MIN_FOR_CONTOUR = 5
MAX_LINES = 150
MAX_POINTS = 400
MAX_IN_CONTOUR = 80
MAX_PARAMETERS = 16
SCALE = [[0, "#bdd3e4"], [0.5, "#5f93b8"], [1, "#14374f"]]


def sections(data: StudyData, others: Sequence[StudyData]) -> list[Section]:
    """Make all sections on parameters, with the parameters in the order of importance where it is known.

    Args:
        data: The study.
        others: Studies that are compared with it, for the EDF.

    Returns:
        The sections.
    """
    importances, reason = _importances(data)
    names = _names(data, importances)
    return [
        _importances_section(importances, reason),
        _parallel_coordinates(data, names),
        _slices(data, names),
        _contour(data, list(importances)),
        _edf([data, *others]),
    ]


def importances_and_slices(data: StudyData) -> list[Section]:
    """Make the sections on parameters that apply to one objective of a multi-objective study.

    Args:
        data: The study, viewed by one objective.

    Returns:
        The sections.
    """
    importances, reason = _importances(data)
    return [_importances_section(importances, reason), _slices(data, _names(data, importances))]


def _names(data: StudyData, importances: dict[str, float]) -> list[str]:
    """Return the parameters that COMPLETE trials have, in the order of importance where it is known."""
    names = list(importances) or data.parameter_names
    return [name for name in names if any(name in trial.params for trial in data.complete)]


def _importances_section(importances: dict[str, float], reason: str) -> Section:
    return Section(
        "Hyperparameter importances", [_importances_figure(importances) if importances else paragraph(reason, "empty")]
    )


def _importances(data: StudyData) -> tuple[dict[str, float], str]:
    """Evaluate importances with Optuna's default evaluator on all COMPLETE trials; return why there are none, too."""
    if len(data.complete) < MIN_FOR_IMPORTANCES:
        return {}, f"Importances need {MIN_FOR_IMPORTANCES} COMPLETE trials; there are {len(data.complete)}."
    escaped = {plot_text(name): name for name in data.parameter_names}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on parameters that few trials have; the note below states it
            found = optuna.importance.get_param_importances(EscapedStudy(data, data.complete))
    except Exception as error:  # an error of the evaluator must not prevent the page
        return {}, f"Optuna could not evaluate importances: {short(error)}"
    return {escaped[name]: value for name, value in found.items()}, "No parameter varies."


def _importances_figure(importances: dict[str, float]) -> str:
    shown = list(importances.items())[:MAX_PARAMETERS][::-1]
    bars = go.Bar(
        x=[round(value, 4) for _, value in shown],
        y=[plot_text(name) for name, _ in shown],
        text=[f"{value:.2f}" if value >= 0.01 else "&lt;0.01" for _, value in shown],
        orientation="h",
        marker={"color": COLORS[0]},
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x}<extra></extra>",
    )
    figure = go.Figure(bars)
    figure.update_layout(xaxis={"title": {"text": "importance (PED-ANOVA)"}}, yaxis={"type": "category"})
    figure.update_layout(margin={"r": 40, "t": 10})
    text = (
        "How much a parameter's distribution over the best 10 % of COMPLETE trials differs from that over all of them "
        "(Optuna's default evaluator). Imprecise for few trials, or for a parameter that few trials have."
    )
    return figure_box(figure, 90 + 30 * len(shown)) + paragraph(text, "note")


@section("Parallel coordinates")
def _parallel_coordinates(data: StudyData, names: list[str]) -> list[str]:
    if len(data.complete) < 2 or not names:
        return [_too_few(data)]
    shown = sample(data, data.complete, MAX_LINES)
    params = [plot_text(name) for name in names[:MAX_PARAMETERS]]
    figure = optuna.visualization.plot_parallel_coordinate(
        EscapedStudy(data, shown), params=_known(params, shown), target_name=plot_text(data.metric)
    )
    _recolor(figure, data.maximize)
    figure.update_layout(title=None, margin={"t": 10, "r": 10, "l": 40, "b": 30})
    width = "wide" if len(params) > 3 else ""
    return [figure_box(figure, LARGE, width), *_notes(data, shown, names)]


def _recolor(figure: go.Figure, maximize: bool) -> None:
    """Use a color scale that does not start at white, and draw the best lines last, on top of the others."""
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    others = [trace for trace in figure.data if trace.mode != "lines"]
    for line in lines:  # its first point is the value, from 0 for the lowest to 1 for the highest
        line.line.color = sample_colorscale(SCALE, [line.y[0] if maximize else 1 - line.y[0]])[0]
    figure.data = [*sorted(lines, key=lambda line: line.y[0], reverse=not maximize), *others]
    figure.update_traces(marker={"colorscale": SCALE}, selector={"mode": "markers"})


def _known(params: list[str], trials: Sequence[FrozenTrial]) -> list[str]:
    """Return the params that some trial of the sample has."""
    present = {plot_text(name) for trial in trials for name in trial.params}
    return [name for name in params if name in present]


@section("Slice plots")
def _slices(data: StudyData, names: list[str]) -> list[str]:
    if len(data.complete) < 2 or not names:
        return [_too_few(data)]
    shown = sample(data, data.complete, MAX_POINTS)
    study = EscapedStudy(data, shown)
    params = _known([plot_text(name) for name in names[:MAX_PARAMETERS]], shown)
    boxes = [figure_box(_slice(study, name, plot_text(data.metric)), SMALL) for name in params]
    color = paragraph("Darker points are later trials.", "note")
    return [grid(boxes), color, *_notes(data, shown, names)]


def _slice(study: optuna.Study, name: str, metric: str) -> go.Figure:
    figure = optuna.visualization.plot_slice(study, params=[name], target_name=metric)
    marker = {"showscale": False, "colorbar": None, "colorscale": SCALE, "size": 6, "line": {"width": 0}}
    figure.update_traces(marker=marker, hovertemplate="%{x}: %{y}<extra></extra>")
    if figure.layout.xaxis.type == "log":
        figure.update_xaxes(log_axis(figure.data[0].x))
    return figure.update_layout(title=None, margin={"t": 10})


@section("Contour plot")
def _contour(data: StudyData, names: list[str]) -> list[str]:
    if len(names) < 2:
        return [paragraph("A contour plot needs the importances of two parameters.", "empty")]
    first, second = names[:2]
    both = [trial for trial in data.complete if first in trial.params and second in trial.params]
    shown = sample(data, both, MAX_IN_CONTOUR)
    values = [{trial.params[name] for trial in shown} for name in (first, second)]
    if len(shown) < MIN_FOR_CONTOUR or min(map(len, values)) < 2:
        text = f"A contour plot needs more COMPLETE trials or values of {short(first, 60)} and {short(second, 60)}."
        return [paragraph(text, "empty")]
    figure = optuna.visualization.plot_contour(
        EscapedStudy(data, shown), params=[plot_text(first), plot_text(second)], target_name=plot_text(data.metric)
    )
    figure.update_layout(title=None, margin={"t": 10})
    for axis in (figure.layout.xaxis, figure.layout.yaxis):
        if axis.type == "log":
            axis.update(log_axis([10**end for end in axis.range]))
    figure.update_traces(colorscale=SCALE, line={"width": 0.5, "color": "#ffffff"}, selector={"type": "contour"})
    figure.update_traces(
        marker={"size": 6, "color": "#1b1f24", "line": {"width": 1, "color": "white"}}, selector={"type": "scatter"}
    )
    sampled = sample_note(len(shown), len(both), "COMPLETE trials")
    text = f"The two most important parameters, interpolated between trials. {sampled}"
    return [figure_box(figure, LARGE), paragraph(text, "note")]


@section("Empirical distribution function (EDF)")
def _edf(studies: Sequence[StudyData]) -> list[str]:
    with_values = [data for data in studies if data.complete]
    if len({trial.value for data in with_values for trial in data.complete}) < 2:
        return [paragraph("Fewer than two different values.", "empty")]
    escaped = [EscapedStudy(data, data.complete) for data in with_values]
    figure = optuna.visualization.plot_edf(escaped, target_name=plot_text(studies[0].metric))
    figure.update_traces(line={"shape": "hv"})
    figure.update_layout(
        title=None, showlegend=len(with_values) > 1, margin={"t": 10}, yaxis={"title": {"text": "share of trials"}}
    )
    text = "The share of COMPLETE trials with at most this value."
    return [figure_box(figure, MIDDLE), paragraph(text, "note")]


def _too_few(data: StudyData) -> str:
    return paragraph(f"Too few COMPLETE trials with parameters ({len(data.complete)}).", "empty")


def _notes(data: StudyData, shown: Sequence[Any], names: list[str]) -> list[str]:
    notes = [sample_note(len(shown), len(data.complete), "COMPLETE trials")]
    if len(names) > MAX_PARAMETERS:
        notes.append(f"The first {MAX_PARAMETERS} of {len(names)} parameters.")
    return [paragraph(note, "note") for note in notes if note]
