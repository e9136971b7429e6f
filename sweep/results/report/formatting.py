"""Format text and numbers for the page, and escape text of users and other programs for HTML or plotly."""

import hashlib
import html
from typing import Any

MAX_LABEL = 48


def html_text(value: Any) -> str:
    """Escape text for HTML, also inside attributes."""
    return html.escape(str(value))


def plot_text(value: Any) -> str:
    """Escape text for plotly, which renders HTML and expands `%{...}` but not `&quot;`, and shorten it."""
    text = str(value)
    if len(text) > MAX_LABEL:  # the digest keeps labels with equal beginnings distinct
        text = f"{text[: MAX_LABEL - 8]}… {hashlib.sha256(text.encode(errors='replace')).hexdigest()[:6]}"
    return html.escape(text, quote=False).replace("%", "&#37;")


def short(value: Any, max_length: int = 300) -> str:
    """Format a value for a table cell.

    Args:
        value: The value; a float is shown with four significant digits.
        max_length: Longer text is cut.

    Returns:
        The text, not escaped.
    """
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= max_length else f"{text[:max_length]}… ({len(text):,} characters)"


def duration(seconds: float) -> str:
    """Format seconds: 0.31 s, 48 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{seconds:.2g}\N{NO-BREAK SPACE}s"
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded}\N{NO-BREAK SPACE}s"
    if rounded < 3600:
        return f"{rounded // 60} min {rounded % 60} s"
    return f"{rounded // 3600:,} h {rounded % 3600 // 60} min"


def share(part: float, whole: float) -> str:
    """Format a part of a whole in percent; a dash if the whole is 0."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def paragraph(text: str, css_class: str = "") -> str:
    """Make a paragraph.

    Args:
        text: The text, which is escaped.
        css_class: `note`, `empty`, `warning`, or "" for none.

    Returns:
        The HTML.
    """
    return f'<p class="{css_class}">{html_text(text)}</p>' if css_class else f"<p>{html_text(text)}</p>"
