"""Define the style of figures, and convert them to HTML: sized by their boxes, with rounded numbers."""

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import plotly.graph_objects as go
import plotly.io

STATE_COLORS = {
    "COMPLETE": "#2f6690",
    "PRUNED": "#d08c2f",
    "FAIL": "#b23a48",
    "RUNNING": "#3a7d44",
    "WAITING": "#8d99ae",
}
ACCENT = "#1b1f24"
COLORS = ["#2f6690", "#d08c2f", "#3a7d44", "#b23a48", "#6d597a", "#4aa3a2", "#8a6d3b", "#8d99ae"]
_AXIS = {
    "gridcolor": "#e6e8eb",
    "linecolor": "#b8bec5",
    "zeroline": False,
    "ticks": "outside",
    "tickcolor": "#b8bec5",
    "automargin": True,
    "exponentformat": "e",
    "title": {"standoff": 8},
}
TEMPLATE = go.layout.Template(
    layout={
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "#3b4149"},
        "colorway": COLORS,
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "xaxis": _AXIS,
        "yaxis": _AXIS,
        "hovermode": "closest",
        "margin": {"l": 10, "r": 10, "t": 34, "b": 10},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
        "title": {"font": {"size": 13}, "x": 0.01, "xref": "container", "y": 0.98, "yanchor": "top"},
    }
)
SMALL, MIDDLE, LARGE = 280, 360, 460  # px


def figure_box(figure: go.Figure, height: int = MIDDLE, css_class: str = "") -> str:
    """Convert a figure to HTML: its data next to an empty box, in which the page's script draws it.

    Args:
        figure: The figure; its layout is changed.
        height: Height in px.
        css_class: Class of the box: `wide` for a figure that scrolls on a narrow screen.

    Returns:
        The HTML.
    """
    figure.update_layout(template=TEMPLATE, height=height, width=None, autosize=True)
    text = plotly.io.to_json(figure, engine="json", validate=False)  # with <, > and / written as \u00..
    data = f'<script type="application/json">{text}</script><div class="plot" style="height:{height}px"></div>'
    return f'<div class="scroll {css_class}"><div class="figure">{data}</div></div>'


def grid(boxes: Iterable[str]) -> str:
    """Arrange boxes, given as HTML, in as many columns as fit."""
    return f'<div class="grid">{"".join(boxes)}</div>'


def rounded(values: Iterable[float]) -> list[float | None]:
    """Round to six significant digits; NaN and infinity become None, a gap in a curve."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]


def value_axis(title: str, values: Sequence[float]) -> dict[str, Any]:
    """Make an axis for values: logarithmic if all are positive and span more than a factor of 50.

    Args:
        title: The title.
        values: The values that are drawn; NaN and infinity are ignored.

    Returns:
        Properties of a plotly axis.
    """
    finite = [value for value in values if math.isfinite(value)]
    if finite and min(finite) == max(finite):  # plotly would show a range of 2 around it
        return {"title": {"text": title}, "range": _around(finite[0])}
    is_wide = bool(finite) and min(finite) > 0 and max(finite) > 50 * min(finite)
    return {"title": {"text": title}, **(log_axis(finite) if is_wide else {})}


def _around(value: float) -> list[float]:
    margin = abs(value) / 10 or 1.0
    return [value - margin, value + margin]


def count_axis(title: str, highest: int) -> dict[str, Any]:
    """Make an axis for integers, with ticks at integers only.

    Args:
        title: The title.
        highest: The largest value.

    Returns:
        Properties of a plotly axis.
    """
    return {"title": {"text": title}, **({"dtick": 1} if highest < 10 else {})}


def log_axis(values: Collection[float]) -> dict[str, Any]:
    """Make a logarithmic axis with ticks at 1, 2 and 5 times powers of ten, or at powers of ten for a wide range.

    Args:
        values: Positive values.

    Returns:
        Properties of a plotly axis.
    """
    low, high = math.log10(min(values)), math.log10(max(values))
    exponents = range(math.floor(low), math.ceil(high) + 1, max(1, round((high - low) / 8)))
    steps = (1, 2, 5) if high - low < 2 else (1,)
    ticks = [step * 10.0**exponent for exponent in exponents for step in steps]
    return {"type": "log", "tickmode": "array", "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}
