"""What a stranger looks for in a repository says the same everywhere."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_changelog_has_a_dated_heading_for_the_version():
    dated = re.findall(r"^## (\S+) \(\d{4}-\d\d-\d\d\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert dated[0] == PROJECT["version"]


def test_the_version_is_written_nowhere_else():
    assert "version:" not in (ROOT / "CITATION.cff").read_text().replace("cff-version:", "")
    assert PROJECT["version"] not in (ROOT / "sweep" / "__init__.py").read_text()


def test_an_extra_that_a_message_or_page_names_exists():
    texts = [path.read_text() for path in (*ROOT.glob("sweep/**/*.py"), *ROOT.glob("docs/**/*.md"), ROOT / "README.md")]
    named = {extra for text in texts for extra in re.findall(r"pip install (?:-e )?'?(?:sweep|\.)\[([\w,]+)\]", text)}
    assert {"ray", "postgres", "test"} <= named
    assert {one for extra in named for one in extra.split(",")} <= {*PROJECT["optional-dependencies"]}


def test_messages_do_not_take_a_checkout_for_granted():
    places = [path for path in ROOT.glob("sweep/**/*.py") if "pip install -e" in path.read_text()]
    assert places == []
