"""Fills the generated pages of the documentation: `<!-- generated: keys -->`, `cli` and `api` in a page.

mkdocs calls `on_page_markdown` for each page; see `hooks` in mkdocs.yml.
"""

import argparse
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import sweep
from sweep.cli.key_reference import reference_markdown
from sweep.cli.parser import build_parser

CONTRACTS = (
    "sweep.testing.engine.EngineContract",
    "sweep.testing.executor.ExecutorContract",
    "sweep.testing.keras_backend.KerasBackendContract",
    "sweep.testing.model_family.ModelFamilyContract",
)
MEMBERS = {  # of classes whose other members are for the rest of sweep
    "Space": ["from_sections", "metrics", "directions", "suggest", "resolve"],
    "TrialConfig": ["from_values", "values"],
}
MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace each mark of a page by what it names."""
    return MARK.sub(lambda mark: GENERATED[mark[1]](), markdown)


def cli() -> str:
    """Return a section for each command: its usage, then its options by group."""
    return "\n\n".join(part for name, parser in commands_of(build_parser()) for part in _command(name, parser))


def commands_of(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield each command's name and parser, in the order of `sweep --help`."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## sweep {name}"
    yield f"```text\n{parser.format_usage().removeprefix('usage: ').strip()}\n```"
    for group in parser._action_groups:
        rows = [_row(action) for action in group._group_actions if action.dest != "help"]
        if rows:
            yield f"**{(group.title or '').capitalize()}**\n\n| argument | meaning |\n|---|---|\n" + "\n".join(rows)


def _row(action: argparse.Action) -> str:
    names = [f"{name} {action.metavar}" if action.metavar else name for name in action.option_strings]
    shown = ", ".join(f"`{name}`" for name in names or [str(action.metavar or action.dest)])
    return f"| {shown} | {(action.help or '').replace('|', '&#124;')} |"


def api() -> str:
    """Return the directives that let mkdocstrings write what `dir(sweep)` lists, and `sweep.testing`."""
    names = [f"{module}.{name}" for name, module in sorted(sweep._MODULES.items())]
    return "\n\n".join(_directive(name) for name in [*names, "sweep.errors", *CONTRACTS])


def _directive(name: str) -> str:
    members = _classes_of(name) if name == "sweep.errors" else MEMBERS.get(name.rpartition(".")[2])
    return f"::: {name}" + (f"\n    options:\n      members: {members}" if members is not None else "")


def _classes_of(module: str) -> list[str]:
    return [
        name
        for name, value in vars(import_module(module)).items()
        if getattr(value, "__module__", "") == module and isinstance(value, type)
    ]


GENERATED = {"keys": reference_markdown, "cli": cli, "api": api}
