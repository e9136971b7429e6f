"""Words and numbers for the page. Whatever a user or another program named is escaped here, for HTML or for plotly."""

import hashlib
import html
from typing import Any

LONGEST_LABEL = 48


def html_text(value: Any) -> str:
    """Text for HTML, also inside attributes."""
    return html.escape(str(value))


def plot_text(value: Any) -> str:
    """Text for plotly, which renders some HTML and fills in `%{...}`; it knows no `&quot;`. Long ones are cut."""
    text = str(value)
    if len(text) > LONGEST_LABEL:  # two that begin alike stay two
        text = f"{text[: LONGEST_LABEL - 8]}… {hashlib.sha256(text.encode(errors='replace')).hexdigest()[:6]}"
    return html.escape(text, quote=False).replace("%", "&#37;")


def short(value: Any, longest: int = 300) -> str:
    """A value for a table cell: floats with four digits, long text cut."""
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters)"


def duration(seconds: float) -> str:
    """0.31 s, 48 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.2g}\N{NO-BREAK SPACE}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}\N{NO-BREAK SPACE}s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def share(part: float, whole: float) -> str:
    """Percent; a dash of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def paragraph(text: str, kind: str = "") -> str:
    """An escaped paragraph; kinds are `note`, `empty` and `warning`."""
    return f'<p class="{kind}">{html_text(text)}</p>' if kind else f"<p>{html_text(text)}</p>"
