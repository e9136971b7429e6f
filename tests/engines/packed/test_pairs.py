"""A slice of `python benchmarks/equality.py`: pairs of (config, seed), trained by both engines."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.exhaustive
def test_six_pairs_end_with_about_the_same_accuracy(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "equality.py"), "--pairs", "6", "--epochs", "4"]
    out = tmp_path / "results.md"
    result = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    cells = [cell.strip() for cell in out.read_text(encoding="utf-8").split("| digits, ")[1].split("|")]
    assert cells[:2] == ["4 epochs", "6"]
    assert float(cells[5].split()[0]) <= 2.0  # points: six of 288 images
    packed, sequential = (float(accuracy.rstrip("%")) for accuracy in cells[6].split(", "))
    assert packed == pytest.approx(sequential, abs=1.0)
    assert sequential > 50


@pytest.mark.parametrize(
    ("packed", "is_equal"),
    [([50.1, 49.9] * 100, True), ([50.3] * 100 + [50.1] * 100, False), ([60.0, 40.0] * 100, False)],
)
def test_the_verdict(packed: list[float], is_equal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mean beyond its interval, or an interval too wide to say, is not equal."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from equality import Comparison

    assert Comparison(packed, [50.0] * 200).is_equal() == is_equal
