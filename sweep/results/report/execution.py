"""Make the sections on how trials were executed: epochs saved by pruning, states, failures and time."""

from collections import Counter

import optuna
import plotly.graph_objects as go
from optuna.trial import FrozenTrial

from sweep.results.report.data import StudyData, epoch_seconds, num_epochs, trial_seconds
from sweep.results.report.figures import COLORS, MIDDLE, SMALL, STATE_COLORS, count_axis, figure_box
from sweep.results.report.formatting import duration, paragraph, plot_text, share, short
from sweep.results.report.page import section
from sweep.results.report.samples import EscapedStudy, evenly_spaced, sample_note
from sweep.results.report.tables import table
from sweep.storage.stored_trials import cause_and_error
from sweep.text import counted

MAX_FAILURES = 100
MAX_BARS = 400
FAILURE_COLUMNS = ["trial", "cause", "epochs", "attempt", "host", "peak MB", "error"]


def saved_epochs(data: StudyData) -> int:
    """Count the epochs that pruning saved.

    Args:
        data: The study.

    Returns:
        The planned epochs of PRUNED trials that were not trained.
    """
    return sum(max(0, data.planned_epochs(trial) - num_epochs(trial)) for trial in data.in_state("PRUNED"))


@section("Pruning")
def pruning(data: StudyData) -> list[str]:
    """Show the epochs saved by pruning, and after which epochs trials were pruned.

    Args:
        data: The study.

    Returns:
        The section.
    """
    pruned = data.in_state("PRUNED")
    if not pruned:
        return [paragraph("No trial was pruned.", "empty")]
    trained, saved = sum(num_epochs(trial) for trial in data.trials), saved_epochs(data)
    text = (
        f"Pruning {len(pruned):,} of {counted(len(data.trials), 'trial')} saved {counted(saved, 'epoch')}: "
        f"{share(saved, saved + trained)} of the {saved + trained:,} epochs that would be trained without pruning."
    )
    ends = sorted(Counter(num_epochs(trial) for trial in pruned).items())
    bars = go.Bar(
        x=[epoch for epoch, _ in ends], y=[number for _, number in ends], marker={"color": STATE_COLORS["PRUNED"]}
    )
    figure = go.Figure(bars.update(hovertemplate="after epoch %{x}: %{y}<extra></extra>"))
    figure.update_layout(
        xaxis={"title": {"text": "pruned after epoch"}}, yaxis=count_axis("trials", max(number for _, number in ends))
    )
    figure.update_layout(margin={"t": 10}, bargap=0.3, xaxis_range=[0.5, max(map(data.planned_epochs, pruned)) + 0.5])
    return [paragraph(text), figure_box(figure, SMALL)]


@section("States and failures")
def states(data: StudyData) -> list[str]:
    """Show the trials by state, and failed trials with cause and error.

    Args:
        data: The study.

    Returns:
        The section.
    """
    failed = data.in_state("FAIL")
    causes = Counter(_cause(trial) for trial in failed)
    parts = [figure_box(_states_figure(data, causes), 90 + 34 * (len(data.counts) + max(0, len(causes) - 1)))]
    if failed:
        rows = [
            [trial.number, _cause(trial), num_epochs(trial), *_where(trial), short(_error(trial), 400)]
            for trial in evenly_spaced(failed, MAX_FAILURES)
        ]
        parts.append(f'<div class="tall">{table(FAILURE_COLUMNS, rows)}</div>')
        note = sample_note(len(rows), len(failed), "failures", "evenly spaced; `sweep show STUDY --json` prints all")
        parts.append(paragraph(note, "note") if note else "")
    return parts


def _error(trial: FrozenTrial) -> str:
    return cause_and_error(trial)[1] or "not stored"


def _where(trial: FrozenTrial) -> list[str]:
    """Return attempt, host and peak memory of the process in MB; a dash if not stored."""
    memory = trial.user_attrs.get("peak_memory_mb")
    shown = f"{memory:.0f}" if isinstance(memory, int | float) else "-"
    return [*(short(trial.user_attrs.get(key, "-"), 60) for key in ("attempt", "host")), shown]


def _cause(trial: FrozenTrial) -> str:
    return short(cause_and_error(trial)[0], 60)


def _states_figure(data: StudyData, causes: Counter[str]) -> go.Figure:
    bars = [
        (state, data.counts[state], STATE_COLORS[state])
        for state in STATE_COLORS
        if state in data.counts and state != "FAIL"
    ]
    bars += [(f"FAIL: {cause}", number, STATE_COLORS["FAIL"]) for cause, number in causes.most_common(12)]
    bars.reverse()
    figure = go.Figure(
        go.Bar(
            x=[number for _, number, _ in bars],
            y=[plot_text(name) for name, _, _ in bars],
            text=[f"{number:,} ({share(number, len(data.trials)).replace('%', '&#37;')})" for _, number, _ in bars],
            marker={"color": [color for _, _, color in bars]},
            orientation="h",
            textposition="outside",
            cliponaxis=False,
            hoverinfo="skip",
        )
    )
    return figure.update_layout(
        xaxis=count_axis("trials", max(number for _, number, _ in bars)),
        yaxis={"type": "category"},
        margin={"t": 10, "r": 90},
    )


@section("Time")
def time(data: StudyData) -> list[str]:
    """Show the time in epochs and the remaining time by state, and a timeline of the trials.

    Args:
        data: The study.

    Returns:
        The section.
    """
    rows = []
    for state in ("COMPLETE", "PRUNED", "FAIL"):
        trials = data.in_state(state)
        if trials:
            rows.append((state, len(trials), sum(map(trial_seconds, trials)), sum(map(epoch_seconds, trials))))
    if not rows:
        return [paragraph("No trial has finished yet.", "empty")]
    rows.append(("all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])))
    shown = [
        [
            state,
            f"{number:,}",
            duration(total),
            duration(total / number),
            duration(inside),
            _other(total, inside),
            share(inside, total),
        ]
        for state, number, total, inside in rows
    ]
    columns = ["state", "trials", "time", "time per trial", "in epochs", "other", "share in epochs"]
    text = (
        "Time from the start to the end of each trial. In epochs: training and validation. Other: building and "
        "compiling the model, sampling, reporting, waiting for other lanes, and pauses of resumed trials."
    )
    return [table(columns, shown), _time_figure(rows[:-1]), paragraph(text, "note"), *_timeline(data)]


def _other(total: float, inside: float) -> str:
    return duration(max(0.0, total - inside))


def _time_figure(rows: list[tuple[str, int, float, float]]) -> str:
    rows = rows[::-1]
    figure = go.Figure()
    for name, color, values in (
        ("in epochs", COLORS[0], [inside for *_, inside in rows]),
        ("other", "#c3cad2", [max(0.0, total - inside) for _, _, total, inside in rows]),
    ):
        figure.add_bar(x=[round(value, 3) for value in values], y=[row[0] for row in rows], name=name, orientation="h")
        figure.data[-1].update(marker={"color": color}, hovertemplate="%{y}: %{x} s<extra></extra>")
    figure.update_layout(barmode="stack", xaxis={"title": {"text": "seconds"}}, yaxis={"type": "category"})
    return figure_box(figure, 120 + 34 * len(rows))


def _timeline(data: StudyData) -> list[str]:
    started = [trial for trial in data.trials if trial.datetime_start is not None]
    shown = evenly_spaced(started, MAX_BARS)
    figure = optuna.visualization.plot_timeline(EscapedStudy(data, shown))
    for trace in figure.data:
        color = STATE_COLORS.get(trace.name, STATE_COLORS["WAITING"])
        trace.update(marker={"color": color, "line": {"width": 0}}, width=max(0.8, len(started) / len(shown)))
    figure.update_layout(title=None, xaxis={"title": None}, yaxis=count_axis("trial", len(data.trials)))
    note = sample_note(len(shown), len(started), "trials", "evenly spaced")
    return [
        "<h3>Timeline</h3>",
        figure_box(figure, min(MIDDLE, 150 + 20 * len(shown))),
        paragraph(note, "note") if note else "",
    ]
