"""Make the sections on scores: best trials, training curves of the best one, history, learning curves."""

import math
from typing import Any

import plotly.graph_objects as go
from optuna.trial import FrozenTrial

from sweep.results.report.data import StudyData, best_so_far, num_epochs, number, trial_seconds
from sweep.results.report.figures import (
    ACCENT,
    LARGE,
    MIDDLE,
    SMALL,
    STATE_COLORS,
    count_axis,
    figure_box,
    grid,
    rounded,
    value_axis,
)
from sweep.results.report.formatting import duration, paragraph, plot_text, short
from sweep.results.report.page import section
from sweep.results.report.samples import sample, sample_note
from sweep.results.report.tables import params_cells, table
from sweep.storage.stored_trials import epochs, further_metrics, reported
from sweep.text import counted

NUM_BEST = 10
MAX_POINTS = 2000
MAX_CURVES = 60
BEST_TRIAL_CURVES: dict[str, tuple[tuple[str, str], ...]] = {
    "Loss": (("training", "loss"), ("validation", "val_loss")),
    "Accuracy": (("training", "accuracy"), ("validation", "val_accuracy")),
    "Learning rate": (("learning rate", "learning_rate"),),
}


@section("Best trials")
def best_trials(data: StudyData) -> list[str]:
    """List the best trials with their params.

    Args:
        data: The study.

    Returns:
        The section.
    """
    if not data.complete:
        return [paragraph("No trial is COMPLETE yet.", "empty")]
    names = data.parameter_names
    rows = [
        [
            trial.number,
            data.shown_score(trial),
            num_epochs(trial),
            duration(trial_seconds(trial)),
            *params_cells(trial, names),
        ]
        for trial in data.complete[:NUM_BEST]
    ]
    note = f"The best {len(rows)} of {len(data.complete):,} COMPLETE trials." if len(rows) < len(data.complete) else ""
    columns = ["trial", short(data.metric, 40), "epochs", "time", *names]
    return [table(columns, rows), paragraph(note, "note") if note else ""]


@section("Training curves of the best trial")
def best_trial(data: StudyData) -> list[str]:
    """Draw training and validation metrics and the learning rate of the best trial, from its stored epochs.

    Args:
        data: The study.

    Returns:
        The section.
    """
    if not data.complete:
        return [paragraph("No trial is COMPLETE yet.", "empty")]
    best = data.winner or data.complete[0]
    stored = _with_gaps(epochs(best))
    if not stored:
        text = f"Trial {best.number} has no stored epochs (user attribute `history`, which `sweep run` sets)."
        return [paragraph(text, "empty")]
    further = {plot_text(metric): ((plot_text(metric), metric),) for metric in further_metrics(stored)}
    boxes = [
        _epochs_figure(stored, title, curves)
        for title, curves in {**BEST_TRIAL_CURVES, **further}.items()
        if any(math.isfinite(number(epoch.get(key))) for epoch in stored for _, key in curves)
    ]
    text = f"Trial {best.number}, {short(data.metric, 60)} {short(data.shown_score(best))}."
    return [paragraph(text), grid(boxes)]


def _with_gaps(stored: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Insert an empty epoch between the runs of a trial, which is a gap in the curves."""
    gapped: list[dict[str, Any]] = []
    for epoch in stored:
        gapped += [{}] if gapped and epoch.get("run") != gapped[-1].get("run") else []
        gapped.append(epoch)
    return gapped


def _epochs_figure(stored: list[dict[str, Any]], title: str, curves: tuple[tuple[str, str], ...]) -> str:
    steps = rounded(number(epoch.get("epoch", position)) for position, epoch in enumerate(stored, 1))
    figure = go.Figure(layout={"title": {"text": title}, "xaxis": {"title": {"text": "epoch"}}})
    everything: list[float] = []
    for name, key in curves:
        values = [number(epoch.get(key)) for epoch in stored]
        everything += values
        figure.add_scatter(x=steps, y=rounded(values), name=name, mode="lines+markers", marker={"size": 4})
    figure.update_layout(
        yaxis=value_axis("", everything),
        showlegend=len(curves) > 1,
        legend={"x": 1, "xanchor": "right"},
    )
    return figure_box(figure, SMALL)


@section("Optimization history")
def history(data: StudyData) -> list[str]:
    """Draw each trial's score by trial number, and the best value.

    Args:
        data: The study, viewed by one objective.

    Returns:
        The section.
    """
    figure = go.Figure(layout={"xaxis": count_axis("trial", len(data.trials))})
    scored = [trial for trial in data.in_state("PRUNED", "COMPLETE") if math.isfinite(data.score(trial))]
    shown = sample(data, scored, MAX_POINTS)
    size = 6 if len(shown) < 500 else 4
    for state, name in (("PRUNED", "PRUNED, last reported value"), ("COMPLETE", "COMPLETE")):
        chosen = [trial for trial in shown if trial.state.name == state]
        if chosen:
            figure.add_trace(_points(data, chosen, name, {"color": STATE_COLORS[state], "size": size}))
    ordered = sorted(data.complete, key=lambda trial: trial.number)
    best = best_so_far(data, ordered)
    steps = [i for i, value in enumerate(best) if i in (0, len(best) - 1) or value != best[i - 1]]
    numbers = [ordered[i].number for i in steps] + [data.trials[-1].number]
    line = {"x": numbers, "y": rounded([*(best[i] for i in steps), *best[-1:]])}
    figure.add_scatter(**line, name="best value", mode="lines", line={"shape": "hv", "color": ACCENT, "width": 1.5})
    if not scored:
        return [paragraph("No trial has reported a score yet.", "empty")]
    figure.update_layout(yaxis=value_axis(plot_text(data.metric), [data.score(trial) for trial in scored]))
    note = sample_note(len(shown), len(scored), "trials")
    return [figure_box(figure, MIDDLE), paragraph(note, "note") if note else ""]


def _points(data: StudyData, trials: list[FrozenTrial], name: str, marker: dict[str, Any]) -> go.Scatter:
    return go.Scatter(
        x=[trial.number for trial in trials],
        y=rounded(data.score(trial) for trial in trials),
        name=name,
        mode="markers",
        marker={"opacity": 0.75, **marker},
        hovertemplate="trial %{x}: %{y}<extra></extra>",
    )


@section("Learning curves")
def learning_curves(data: StudyData) -> list[str]:
    """Draw the reported values of trials by epoch, or by run if trials have several runs.

    Args:
        data: The study.

    Returns:
        The section.
    """
    with_scores = [trial for trial in data.trials if trial.intermediate_values]
    if not with_scores:
        return [paragraph("No trial has reported a score yet.", "empty")]
    shown = sample(data, with_scores, MAX_CURVES)
    best = data.complete[0] if data.complete else None
    figure = go.Figure(layout={"xaxis": {"title": {"text": data.step}}})
    for state, color in STATE_COLORS.items():
        chosen = [trial for trial in shown if trial.state.name == state and trial is not best]
        if chosen:
            figure.add_trace(_curves(data, chosen, state, {"color": color, "width": 1.2}, 0.6))
    if best is not None and best.intermediate_values:
        figure.add_trace(_curves(data, [best], f"best, trial {best.number}", {"color": ACCENT, "width": 2.5}, 1))
    values = [value for trial in shown for value in trial.intermediate_values.values()]
    metric = data.metric if data.monitor is None else f"{data.monitor}, as reported"
    figure.update_layout(yaxis=value_axis(plot_text(metric), values), showlegend=True)
    note = (
        sample_note(len(shown), len(with_scores), "trials")
        or f"All {counted(len(shown), 'trial')} that reported a score."
    )
    return [figure_box(figure, LARGE), paragraph(note, "note")]


def _curves(data: StudyData, trials: list[FrozenTrial], name: str, line: dict[str, Any], opacity: float) -> go.Scatter:
    """Put the curves of trials into one trace, separated by gaps."""
    steps: list[int | None] = []
    values: list[float] = []
    numbers: list[int] = []
    for trial in trials:
        scores = reported(trial)
        steps += [*scores, None]
        values += [*scores.values(), math.nan]
        numbers += [trial.number] * (len(scores) + 1)
    return go.Scatter(
        x=steps,
        y=rounded(values),
        customdata=numbers,
        name=name,
        mode="lines+markers" if max(map(len, (trial.intermediate_values for trial in trials))) == 1 else "lines",
        line=line,
        opacity=opacity,
        hovertemplate=f"trial %{{customdata}}, {data.step} %{{x}}: %{{y}}<extra></extra>",
    )
