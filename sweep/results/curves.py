"""Write `curves.html`: loss, accuracy and learning rate by epoch, on a page that reloads itself during training.

The plotly library is a separate file in the same folder (`plotly.min.js`), so that the page is small enough to be
written after each epoch.
"""

from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, Protocol

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from sweep.storage.stored_trials import further_metrics
from sweep.system.files import write_text

REFRESH_S = 3
ROWS = (
    ("loss", ("loss", "val_loss")),
    ("accuracy", ("accuracy", "val_accuracy")),
    ("learning rate", ("learning_rate",)),
)
COLORS = ("#3366cc", "#dc3912", "#ff9900", "#109618", "#990099", "#0099c6", "#dd4477", "#66aa00")


class _Trained(Protocol):
    seed: int
    history: list[dict[str, Any]]


def write_curves(folder: Path, results: Sequence[_Trained], *, is_done: bool) -> None:
    """Replace `curves.html` in a folder.

    Args:
        folder: The folder.
        results: Seed and epochs of each model.
        is_done: Training has ended; otherwise the page reloads itself every few seconds.
    """
    _write_library(folder / "plotly.min.js")
    figure = _figure(results).to_html(full_html=False, include_plotlyjs=False, config={"responsive": True})
    refresh = "" if is_done else f'<meta http-equiv="refresh" content="{REFRESH_S}">'
    state = "done" if is_done else "training"
    title = escape(f"{folder.name}: {state}")
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{refresh}'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f'<script src="plotly.min.js"></script></head><body><h1>{title}</h1>{figure}</body></html>'
    )
    write_text(folder / "curves.html", page)


@cache
def _write_library(path: Path) -> None:
    """Write the plotly library once for each folder and process, replacing a file that differs."""
    if not path.is_file() or path.read_text(encoding="utf-8", errors="replace") != get_plotlyjs():
        write_text(path, get_plotlyjs())


def _figure(results: Sequence[_Trained]) -> Any:
    further = further_metrics(epoch for result in results for epoch in result.history)
    rows = [*ROWS, *((escape(metric), (metric,)) for metric in further)]
    figure = make_subplots(rows=len(rows), cols=1, shared_xaxes=True, subplot_titles=[title for title, _ in rows])
    for number, result in enumerate(results):
        for row, (_, keys) in enumerate(rows, start=1):
            for key in keys:
                figure.add_trace(_trace(result, key, COLORS[number % len(COLORS)], show=row == 1), row=row, col=1)
    figure.update_xaxes(title_text="epoch", row=len(rows), col=1)
    return figure.update_layout(
        height=300 * len(rows), template="plotly_white", margin={"l": 50, "r": 20, "t": 40, "b": 40}
    )


def _trace(result: _Trained, key: str, color: str, *, show: bool) -> Any:
    is_validation = key.startswith("val_")
    return go.Scatter(
        x=[epoch["epoch"] for epoch in result.history],
        y=[epoch.get(key) for epoch in result.history],
        name=f"seed {result.seed}{', validation' if is_validation else ''}",
        line={"color": color, "dash": "dot" if is_validation else "solid"},
        showlegend=show,
    )
