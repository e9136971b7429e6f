"""Tables: pandas writes them, escaped; the page lets wide ones scroll inside their box."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial

from sweep.results.report.texts import short


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Escaped cells; floats with four digits, None empty."""
    cells = [["" if value is None else short(value) for value in row] for row in rows]
    frame = pd.DataFrame(cells, columns=[short(column, 60) for column in columns], dtype=object)
    with pd.option_context("display.max_colwidth", None):
        text = frame.to_html(index=False, border=0, escape=True, classes="many" if len(columns) > 10 else None)
    return f'<div class="scroll">{text}</div>'


def params_cells(trial: FrozenTrial, names: Sequence[str]) -> list[str]:
    """The trial's value of each parameter; a dash where it has none."""
    return [short(trial.params[name]) if name in trial.params else "-" for name in names]


def facts(rows: Sequence[tuple[str, Any]]) -> str:
    """A table of names and values without a header; what is None or empty is left out."""
    known = [row for row in rows if row[1] not in (None, "")]
    with pd.option_context("display.max_colwidth", None):
        frame = pd.DataFrame([[name, short(value, 2000)] for name, value in known], dtype=object)
        text = frame.to_html(index=False, header=False, border=0, escape=True, classes="facts")
    return f'<div class="scroll">{text}</div>'
