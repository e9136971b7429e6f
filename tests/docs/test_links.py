"""Relative links of the files that GitHub shows lead somewhere. `mkdocs build --strict` checks those of the site."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [*ROOT.glob("*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/**/*.md")]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_relative_links_lead_to_files_and_headings(file):
    links = [link for link in LINK.findall(file.read_text()) if not re.match(r"[a-z]+:", link)]
    broken = [link for link in links if not leads_somewhere(file, link)]
    assert broken == []


RECORDS = {"RESULTS.md", "CHANGELOG.md"}  # name what was there when they were written


@pytest.mark.parametrize(
    "file", [file for file in FILES if file.name not in RECORDS], ids=lambda file: str(file.relative_to(ROOT))
)
def test_paths_of_the_repository_that_a_page_names_exist(file):
    named = re.findall(r"`((?:sweep|tests|benchmarks|search_spaces|docs)/[\w./-]+)(?:`| |::)", file.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def leads_somewhere(file: Path, link: str) -> bool:
    """Check the file, and the heading if one is named."""
    name, _, anchor = link.partition("#")
    target = (file.parent / name) if name else file
    return target.exists() and (not anchor or anchor in anchors(target.read_text()))


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings, as GitHub and mkdocs make them of plain words."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) <= 1300
