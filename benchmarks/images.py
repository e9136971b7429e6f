"""Peak memory of loading photographs, as a multiple of their bytes as pixels.

    python benchmarks/images.py [--out benchmarks/RESULTS.md]

Writes 4,000 images of 96 x 96 x 3 to an .npz file and to a folder of PNG files, and 20,000 of 224 x 224 x 3 to a folder
of JPEG files; a folder's second start finds them decoded. Each case is loaded in a process of its own: `peak` is what
tracemalloc finds, to which NumPy reports, and `resident` what the process holds beyond a mapped file. Appends a table.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import results

from sweep.config.data import DataConfig
from sweep.data import load

HEADER = ("images", "source", "image bytes, MB", "seconds", "peak / image bytes", "resident / image bytes")
SMALL, LARGE = (4000, 96), (20000, 224)
CASES: dict[str, tuple[tuple[int, int], str]] = {
    "npz": (SMALL, "npz"),
    "folder, first start": (SMALL, "folder"),
    "folder, second start": (SMALL, "folder"),
    "folder, first start, large": (LARGE, "folder"),
    "folder, second start, large": (LARGE, "folder"),
}


def main() -> None:
    """Measure every case, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=results.RESULTS)
    parser.add_argument("--case", choices=CASES)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.case is not None:
        print(json.dumps(measure(options.case, options.folder)))
        return
    machine = results.describe_machine()
    with results.scratch_folder() as folder:
        for shape in (SMALL, LARGE):
            write_files(Path(folder), *shape)
        rows = [row(case, Path(folder)) for case in CASES]
    results.append(options.out, "Memory of loading photographs", machine, results.table(HEADER, rows), __doc__.strip())


def write_files(folder: Path, num_images: int, side: int) -> None:
    """Smooth images, which compress as photographs do; large ones only as files."""
    from PIL import Image

    generator = np.random.default_rng(0)
    pixels = np.empty((num_images, side, side, 3), np.uint8) if (num_images, side) == SMALL else None
    for number in range(num_images):
        few = Image.fromarray(generator.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        image = few.resize((side, side), Image.Resampling.BICUBIC)
        file = folder / f"{side}" / "abcd"[number % 4] / f"{number}.{'png' if pixels is not None else 'jpg'}"
        file.parent.mkdir(parents=True, exist_ok=True)
        image.save(file)
        if pixels is not None:
            pixels[number] = image
    if pixels is not None:
        np.savez(folder / f"{side}.npz", x=pixels, y=np.arange(num_images) % 4)


def row(case: str, folder: Path) -> list[object]:
    """In a process of its own."""
    environment = {**os.environ, "SWEEP_CACHE": str(folder / "cache")}
    command = [sys.executable, __file__, "--case", case, "--folder", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    measured = json.loads(done.stdout.splitlines()[-1])
    (num_images, side), _ = CASES[case]
    size = measured["bytes"]
    shape = f"{num_images:,} of {side} x {side} x 3"
    return [shape, case, size / 1e6, measured["seconds"], measured["peak"] / size, measured["resident"] / size]


def measure(case: str, folder: Path) -> dict[str, float]:
    """Load once; the bytes are those of the images that are not test."""
    (_, side), source = CASES[case]
    path = folder / f"{side}.npz" if source == "npz" else folder / f"{side}"
    load(DataConfig())  # imports
    gc.collect()
    before = own_memory()
    tracemalloc.start()
    started = time.perf_counter()
    dataset = load(DataConfig.model_validate({"name": source, "path": str(path), "options": options_of(source, side)}))
    seconds = time.perf_counter() - started
    _, peak = tracemalloc.get_traced_memory()
    return {
        "bytes": dataset.images.nbytes,
        "seconds": seconds,
        "peak": peak,
        "resident": own_memory() - before,
    }


def options_of(source: str, side: int) -> dict[str, Any]:
    """The images' own size, so that no header is read."""
    return {} if source == "npz" else {"image_size": side}


def own_memory() -> int:
    """Resident bytes of this process without mapped files."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) * 1024


if __name__ == "__main__":
    main()
