"""Find a published data set: in the folder `path`, else in the folder `SWEEP_DATA`, else by Keras's download.

In each folder, the files may be in a subfolder with the name of the data set.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sweep.data.arrays import Arrays
from sweep.data.image_cache import cache_folder
from sweep.data.sources import npz
from sweep.errors import DataError
from sweep.system.files import replacing

FORMS = {
    "mnist": "the four IDX files",
    "fashion_mnist": "the four IDX files",
    "cifar10": "cifar-10-python.tar.gz, cifar-10-binary.tar.gz or their folder",
    "cifar100": "cifar-100-python.tar.gz, cifar-100-binary.tar.gz or their folder",
}
SAVE = """
import sys, keras, numpy
(x_train, y_train), (x_test, y_test) = getattr(keras.datasets, sys.argv[1]).load_data()
numpy.savez(sys.argv[2], x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
"""


def published(
    name: str,
    path: str | None,
    read: Callable[[Path], Arrays | None],
    class_names: Sequence[str] | None = None,
) -> Arrays:
    """Return the parts of a data set.

    Args:
        name: Its name, also in `keras.datasets`.
        path: A folder that contains it, or an .npz file.
        read: Returns the parts in a folder; None if there is none of its files.
        class_names: Names of the classes 0, 1, ...

    Raises:
        DataError: It is not where it should be, or cannot be downloaded.
    """
    return replace(_arrays(name, path, read), class_names=class_names)


def _arrays(name: str, path: str | None, read: Callable[[Path], Arrays | None]) -> Arrays:
    folders = _folders(name, path)
    for folder in folders:
        if folder.is_file():
            return npz.load(str(folder))
        found = read(folder)
        if found is not None:
            return found
        if (folder / f"{name}.npz").is_file():
            return npz.load(str(folder / f"{name}.npz"))
    looked = f"neither {FORMS[name]} nor {name}.npz in {', '.join(map(str, folders))}" if folders else ""
    if path is not None:
        raise DataError(f"{name}: {looked}; correct data.path or SWEEP_DATA")
    return npz.load(str(_downloaded(name, looked)))


def _folders(name: str, path: str | None) -> list[Path]:
    root = path or os.environ.get("SWEEP_DATA")
    if not root:
        return []
    may_be_itself = path is not None or name != "fashion_mnist"  # whose files have the names of MNIST's
    return [Path(root) / name, *([Path(root)] if may_be_itself else [])]


def _downloaded(name: str, looked: str) -> Path:
    """Keras's data set, kept as an .npz file.

    A process of its own fetches it, since Keras must not be imported here before the device is set up.
    """
    of_keras = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets" / f"{name}.npz"
    path = of_keras if of_keras.is_file() else cache_folder() / "keras" / f"{name}.npz"
    if not path.is_file():
        with replacing(path) as unfinished:
            command = [sys.executable, "-c", SAVE, name, str(unfinished)]
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
                here = f"{looked}, and " if looked else ""
                raise DataError(
                    f"{name}: {here}it could not be downloaded ({reason}); correct data.path or SWEEP_DATA, a folder "
                    f"that contains {name}/"
                )
    return path
