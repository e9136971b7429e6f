"""Make HTML tables with pandas, with escaped cells; wide ones scroll inside their boxes."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial

from sweep.results.report.formatting import short


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Make a table with a header.

    Args:
        columns: Names of the columns.
        rows: Values by row; floats are shown with four significant digits, None as an empty cell.

    Returns:
        The table as HTML.
    """
    cells = [["" if value is None else short(value) for value in row] for row in rows]
    frame = pd.DataFrame(cells, columns=[short(column, 60) for column in columns], dtype=object)
    with pd.option_context("display.max_colwidth", None):
        text = frame.to_html(index=False, border=0, escape=True, classes="many" if len(columns) > 10 else None)
    return f'<div class="scroll">{text}</div>'


def params_cells(trial: FrozenTrial, names: Sequence[str]) -> list[str]:
    """Format a trial's params.

    Args:
        trial: The trial.
        names: Names of parameters.

    Returns:
        A text for each parameter; a dash if the trial does not have it.
    """
    return [short(trial.params[name]) if name in trial.params else "-" for name in names]


def facts(rows: Sequence[tuple[str, Any]]) -> str:
    """Make a table of names and values without a header.

    Args:
        rows: Names and values; those that are None or empty are omitted.

    Returns:
        The table as HTML.
    """
    known = [row for row in rows if row[1] not in (None, "")]
    with pd.option_context("display.max_colwidth", None):
        frame = pd.DataFrame([[name, short(value, 2000)] for name, value in known], dtype=object)
        text = frame.to_html(index=False, header=False, border=0, escape=True, classes="facts")
    return f'<div class="scroll">{text}</div>'
