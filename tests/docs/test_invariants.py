"""Each invariant of the documentation names code and tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs" / "invariants.md").read_text())


def test_they_are_numbered_without_gaps():
    assert [int(number) for number, *_ in ROWS] == [*range(1, len(ROWS) + 1)]


def test_the_code_of_each_exists():
    missing = [name for _, _, code, _ in ROWS for name in re.findall("`([^`]+)`", code) if not (ROOT / name).is_file()]
    assert missing == []


def test_the_test_of_each_exists():
    named = [name for _, _, _, tests in ROWS for name in re.findall("`([^`]+)`", tests)]
    assert len(named) >= len(ROWS)
    missing = [name for name in named if name.partition("::")[2] not in definitions(name.partition("::")[0])]
    assert missing == [], "renamed or removed: correct docs/invariants.md"


def definitions(file: str) -> set[str]:
    """Return the names of tests and test classes in a file below tests/."""
    path = ROOT / "tests" / file
    nodes = ast.walk(ast.parse(path.read_text())) if path.is_file() else ()
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
