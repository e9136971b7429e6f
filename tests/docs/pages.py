"""Runs the code blocks of a page of the documentation as a reader would, with small budgets.

A block with a `title` is a file that the page tells the reader to write. Python blocks of a page share their names.
Shell blocks run line by line, those of sweep in this process. `<!-- not run: REASON -->` above a block leaves it out.
"""

import glob
import math
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.cli.parser import main

FENCE = re.compile(
    r"(?:^<!-- not run: (?P<reason>.+?) -->\n)?"
    r"^```(?P<language>\w*)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LANGUAGES = ("python", "shell", "toml", "text")
BUDGETS = (  # what is written in the documentation -> what a test has time for
    (r"\b(num_trials = |num_trials\": |--trials |n_trials=|trials=)(\d+)", lambda n: math.ceil(n / 5)),
    (r"(\bepochs = |\bepochs=|epochs\": )(\d+)", lambda n: math.ceil(n / 5)),
    (r"(--seeds |--top |seeds=|top=)(\d+)", lambda n: min(n, 2)),
)


@dataclass(frozen=True)
class Block:
    """A code block; `reason` says why it is not run, and is empty if it is."""

    language: str
    title: str
    text: str
    reason: str


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of a page in their order."""
    found = FENCE.finditer(page.read_text())
    return [Block(*(one[name] or "" for name in ("language", "title", "text", "reason"))) for one in found]


def run_page(page: Path) -> None:
    """Run all blocks of a page in the working directory; raise what one of them raises."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks_of(page):
        if block.reason:
            continue
        text = within_budget(block.text)
        if block.title:
            Path(block.title).write_text(text)
        if block.language == "toml":
            tomllib.loads(text)
        elif block.language == "python" and not block.title:
            exec(compile(text, f"{page.name}: python", "exec"), names)
        elif block.language == "shell":
            run_shell(text)


def within_budget(text: str) -> str:
    """Return the text with fewer trials, epochs and seeds."""
    for pattern, smaller in BUDGETS:
        text = re.sub(pattern, lambda found, smaller=smaller: f"{found[1]}{smaller(int(found[2]))}", text)
    return text


def run_shell(text: str) -> None:
    """Run each line; AssertionError if one fails."""
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if not words:
            continue
        arguments = [path for word in words[1:] for path in (sorted(glob.glob(word)) if "*" in word else [word])]
        if words[0] == "sweep":
            code = main(quick(arguments))
        else:
            code = subprocess.run([sys.executable, "-m", words[0], *arguments], check=False).returncode
        assert code == 0, f"exit code {code}: {line}"


def quick(arguments: list[str]) -> list[str]:
    """Return the arguments of a command of sweep with a budget where it has none."""
    if arguments[0] == "run" and "--trials" not in arguments:
        arguments = [*arguments, "--trials", "3"]
    return [*arguments, "--quiet"] if arguments[0] in ("run", "confirm") else arguments
