"""Draws the growth of `large_studies.py`: asking, time and memory against the number of trials."""

import sys
from collections.abc import Sequence
from pathlib import Path

PANELS = (
    ("asking TPE, ms", (("ask_ms", "median"), ("ask_p99_ms", "99th percentile"))),
    ("a trial, ms", (("trial_ms", "all of it"),)),
    ("memory of the process, MB", (("memory_mb", "resident"),)),
)


def draw(points: Sequence[dict[str, float]], path: Path) -> None:
    """Write an SVG; says so and writes none where matplotlib is not installed."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture: matplotlib is not installed; pip install -e '.[bench]'", file=sys.stderr)
        return
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "large"}):  # small, and the same for the same points
        figure = Figure(figsize=(4.0 * len(PANELS), 3.2), layout="constrained")
        for axes, (title, lines) in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
            for key, label in lines:
                axes.plot([point["trials"] for point in points], [point[key] for point in points], label=label)
            axes.set_title(title)
            axes.set_xlabel("trials")
            axes.set_ylim(bottom=0)
            axes.legend(frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None})
