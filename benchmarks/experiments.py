"""The source articles' experiments in one table, theirs beside ours: writes RESULTS.md at the root of the project.

    python benchmarks/experiments.py

It trains nothing: what was measured stands in the head of each file of search_spaces/, where `recipes.py` and
`spaces.py` wrote it, with seeds, epochs, hardware and date.
"""

from pathlib import Path

import results
from results import OURS, ROOT, SOURCE

FOLDER = ROOT / "search_spaces"
ORDER = (  # the articles', what follows from them, what the project exists for
    *("recipes/cnn_basic", "recipes/cnn_l2_power_a", "recipes/cnn_l2_power_b", "recipes/cnn_l2_power_c"),
    *("recipes/mlp_reference", "mlp_batch_size", "recipes/mlp_sgd_decay", "recipes/mlp_rmsprop", "mlp_initializers"),
    *("mlp_rate_momentum_epochs", "recipes/cnn_nadam", "recipes/cnn_adamax", "recipes/cnn_l1"),
    *("recipes/cnn_exponential", "recipes/mlp_exponential", "restarts", "beale", "cnn_beyond", "recipes/cnn_beyond"),
    *("cnn_digits", "cnn_mnist"),
)
HEADER = ("file in search_spaces/", "experiment", "the source's figure", "ours")
HOW = """\
Two articles on a simple CNN for MNIST, one on the speed of an MLP, and a university lab on optimizing networks:
each of their experiments is a file that anybody can run, by the command in its first line. Written by
`python benchmarks/experiments.py` from the heads of the files, which the measuring commands fill.

Mean +- standard deviation of several seeds; the best epoch, which is chosen by the test set, apart from the last one.
The standard error of one accuracy near 99.4 % on 10,000 images is 0.077 points, and seeds add about 0.05. The recipes
of the articles validate on the test set, as the articles did; a sweep never sees it."""


def main() -> None:
    """Write the page."""
    files = [FOLDER / f"{name}.toml" for name in ORDER]
    missing = sorted({*FOLDER.rglob("*.toml")} - {*files})
    if missing:
        raise SystemExit(f"{missing[0].name} is not in ORDER")
    table = results.table(HEADER, [row(file) for file in files if file.exists()])
    (ROOT / "RESULTS.md").write_text(f"# The articles' experiments\n\n{HOW}\n\n{table}\n")


def row(file: Path) -> list[object]:
    """What the head of a file says."""
    source, ours = (results.read_line(file, start) for start in (SOURCE, OURS))
    name = str(file.relative_to(FOLDER).with_suffix(""))
    return [f"`{name}`", description(file), source.removesuffix(".") or "-", ours.removesuffix(".") or "-"]


def description(file: Path) -> str:
    """The paragraph after the command."""
    lines = file.read_text().splitlines()[2:]
    end = next(number for number, line in enumerate(lines) if not line.startswith("# ") or line.startswith(SOURCE))
    return " ".join(line.removeprefix("# ") for line in lines[:end]).removesuffix(":")


if __name__ == "__main__":
    main()
