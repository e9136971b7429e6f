"""Draws the rows of `lanes.py`: images per second against lanes, a panel for each work."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

Row = Sequence[object]  # work, engine, lanes, images/s, ...


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write an SVG; says so and writes none where matplotlib is not installed."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture: matplotlib is not installed; pip install -e '.[bench]'", file=sys.stderr)
        return
    works = list(dict.fromkeys(str(row[0]) for row in rows))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lanes"}):  # small, and the same for the same rows
        figure = Figure(figsize=(4.2 * len(works), 3.4), layout="constrained")
        for axes, work in zip(figure.subplots(1, len(works), squeeze=False)[0], works, strict=True):
            _draw_work(axes, work, [row for row in rows if row[0] == work and isinstance(row[3], float)])
        figure.savefig(path, format="svg", metadata={"Date": None})
    print(path, file=sys.stderr)


def _draw_work(axes: Any, work: str, rows: Sequence[Row]) -> None:
    for row in rows:
        if row[1] == "sequential":
            axes.axhline(row[3], color="#888888", linestyle="--", label="sequential")
    packed = [row for row in rows if row[1] == "packed"]
    axes.plot([row[2] for row in packed], [row[3] for row in packed], marker="o", color="#1f5fa8", label="packed")
    axes.set_xscale("log", base=2)
    axes.set_xticks([row[2] for row in packed], [str(row[2]) for row in packed])
    axes.set_ylim(0, 1.1 * max(row[3] for row in rows))
    axes.set_title(work)
    axes.set_xlabel("lanes")
    axes.set_ylabel("training images per second")
    axes.legend(frameon=False)
