"""One HTML file without a single outside reference: style, plotly.js and the script that draws stand inside.

The page's own policy (Content-Security-Policy) admits exactly those two scripts, by their hashes, and no network: what
a study may have stored could not run even if it was not escaped.
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

from sweep.results.report.texts import html_text, paragraph, short

DOCTYPE = "<!doctype html>"
P = ParamSpec("P")


@dataclass(frozen=True)
class Section:
    """A heading with its parts, which are HTML already."""

    title: str
    parts: list[str] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """For the table of contents."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


def section(title: str) -> Callable[[Callable[P, list[str]]], Callable[P, Section]]:
    """Of a function that makes the parts. What they raise over another program's strange trials costs no page."""

    def decorate(make_parts: Callable[P, list[str]]) -> Callable[P, Section]:
        @wraps(make_parts)
        def make(*args: P.args, **kwargs: P.kwargs) -> Section:
            try:
                return Section(title, make_parts(*args, **kwargs))
            except Exception as error:
                return Section(title, [paragraph(f"This cannot be drawn: {short(error)}", "empty")])

        return make

    return decorate


def render_page(title: str, header: str, sections: Sequence[Section]) -> str:
    """The whole file."""
    library, draw, style = plotly.offline.get_plotlyjs(), _shipped("draw.js"), _shipped("style.css")
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


def _shipped(name: str) -> str:
    return (resources.files("sweep.results.report") / name).read_text(encoding="utf-8")


def _hash_source(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
