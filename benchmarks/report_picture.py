"""Draws docs/pictures/report.png: the first sections of the report of 30 trials of cnn_digits. Needs Chromium.

python benchmarks/report_picture.py [--out FILE]
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import results

PICTURE = results.ROOT / "docs" / "pictures" / "report.png"
SIZE = "1400,770"  # of the picture, in pixels
STYLE = """<style>
body { display: block; } nav, #space, #confirmation { display: none; }
main { max-width: none; height: 1060px; columns: 2; column-gap: 40px; column-fill: auto; zoom: 0.82; }
section, header { break-inside: avoid; } .grid { grid-template-columns: repeat(3, 1fr); }
</style></head>"""  # two columns, without the sections that have no figures
DRAWING_MS = 10_000  # of the page's own clock, until its figures are drawn
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb")


def main() -> None:
    """Run the sweep, write its report, and take the picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=PICTURE, metavar="FILE")
    out = parser.parse_args().out.resolve()
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("needs Chromium: apt-get install chromium")
    with results.scratch_folder() as folder:
        for command in ("init .", "run cnn_digits.toml --quiet", "report cnn-digits --out report.html"):
            subprocess.run([sys.executable, "-m", "sweep.cli", *command.split()], cwd=folder, check=True)
        page = Path(folder) / "report.html"
        page.write_text(page.read_text().replace("</head>", STYLE, 1))
        picture = [f"--screenshot={out}", f"--window-size={SIZE}", f"--virtual-time-budget={DRAWING_MS}"]
        subprocess.run([browser, *OPTIONS, f"--user-data-dir={folder}/browser", *picture, page.as_uri()], check=True)


if __name__ == "__main__":
    main()
