"""Every code block of README and documentation runs, or says why it does not."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from sweep.data import clear_cache
from tests.docs.pages import LANGUAGES, blocks_of, run_page

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = {page: str(page.relative_to(ROOT)) for page in PAGES}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The reader's folder, with photos in it: what a page writes and imports is gone after it."""
    import tensorflow as tf

    for number, kind in enumerate(["ant", "bee"] * 2):
        file = tmp_path / "photos" / kind / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(tf.io.encode_png(np.full((80, 60, 3), 50 * number, np.uint8)).numpy())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    known = {*sys.modules}
    yield tmp_path
    clear_cache()
    for name in {*sys.modules} - known:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # as in a reader's process
@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(not one.reason for one in blocks_of(page))], ids=NAMES.get
)
def test_every_block_of_a_page_runs(page, folder):
    run_page(page)


@pytest.mark.parametrize("page", PAGES, ids=NAMES.get)
def test_every_block_has_a_language(page):
    assert page.read_text().count("```") == 2 * len(blocks_of(page))
    assert {block.language for block in blocks_of(page)} <= {*LANGUAGES}
