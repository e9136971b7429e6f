"""Render one HTML file without external references: style, plotly.js and the drawing script are inlined.

The page's Content-Security-Policy allows exactly these two scripts, by their hashes, and no network access, so that
text stored in a study could not run even if it was not escaped.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from importlib import resources
from typing import ParamSpec

import plotly.offline

from sweep.results.report.formatting import html_text, paragraph, short

DOCTYPE = "<!doctype html>"
P = ParamSpec("P")


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        title: The heading, plain text.
        parts: The contents as HTML.
    """

    title: str
    parts: list[str] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """The section's id, which the table of contents links to."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


def section(title: str) -> Callable[[Callable[P, list[str]]], Callable[P, Section]]:
    """Decorate a function that returns the parts of a section, so that it returns the section.

    If it raises, as for unusual trials of another program, the section states the error and the page is still made.

    Args:
        title: The heading.

    Returns:
        The decorator.
    """

    def decorate(make_parts: Callable[P, list[str]]) -> Callable[P, Section]:
        @wraps(make_parts)
        def make(*args: P.args, **kwargs: P.kwargs) -> Section:
            try:
                return Section(title, make_parts(*args, **kwargs))
            except Exception as error:
                return Section(title, [paragraph(f"This section cannot be drawn: {short(error)}", "empty")])

        return make

    return decorate


def render_page(title: str, header: str, sections: Sequence[Section]) -> str:
    """Render the HTML file.

    Args:
        title: The title of the browser's tab, plain text.
        header: The header as HTML.
        sections: The sections.

    Returns:
        The HTML.
    """
    library, draw, style = plotly.offline.get_plotlyjs(), _package_file("draw.js"), _package_file("style.css")
    scripts = " ".join(map(_hash_source, (library, draw)))
    policy = f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:"
    contents = "".join(f'<a href="#{one.anchor}">{html_text(one.title)}</a>' for one in sections)
    return (
        f'{DOCTYPE}\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html_text(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f'<nav aria-label="Contents">{contents}</nav>\n<main>\n<header>{header}</header>\n'
        f"<noscript><p>The figures need JavaScript; the tables do not.</p></noscript>\n"
        f"{''.join(map(_render_section, sections))}</main>\n"
        f"<script>{library}</script>\n<script>{draw}</script>\n</body>\n</html>\n"
    )


def _render_section(section: Section) -> str:
    parts = "\n".join(part for part in section.parts if part)
    return f'<section id="{section.anchor}">\n<h2>{html_text(section.title)}</h2>\n{parts}\n</section>\n'


def _package_file(name: str) -> str:
    return (resources.files("sweep.results.report") / name).read_text(encoding="utf-8")


def _hash_source(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
