"""Pickles, and other data that could be run, planted wherever our commands read: none of it is run.

Every text column of a study's database gets payloads, one column at a time, and so does each file that a sweep or a
retrain reads or finds. Commands may refuse it or show it: what a payload would create is not there afterwards.
"""

import contextlib
import io
import json
import os
import pickle
import random
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
from faults.fault import Fault

from sweep.cli.parser import main
from sweep.config.trial import TrialConfig
from sweep.errors import SweepError
from sweep.storage import LiveStorage, database_url

SPACE = """
study = { name = "study" }
sampler = { name = "cmaes", popsize = 4 }
training = { epochs = 2 }
space.l2 = { key = "regularizer.l2", type = "float", low = 0.0, high = 0.01 }
space.momentum = { key = "optimizer.momentum", type = "float", low = 0.0, high = 0.9 }
"""
DATA = 'data = { name = "npz", path = "images.npz" }\n'
RUN = ["run", "space.toml", "--engine", "fake", "--quiet", "--trials"]
COMMANDS = [["list"], ["show", "study"], ["show", "study", "0", "--json"], ["report", "study"], ["export", "study"]]
COLUMNS = (
    *("studies.study_name", "study_directions.direction", "version_info.library_version", "trials.state"),
    *(f"{owner}_{kind}_attributes.{column}" for owner in ("study", "trial") for kind in ("user", "system")
      for column in ("key", "value_json")),
    *("trial_params.param_name", "trial_params.distribution_json"),
    *("trial_intermediate_values.intermediate_value_type", "trial_values.value_type"),
    "the optimizer",
)  # fmt: skip
CONFIG = {
    "data": {"num_train": 40, "num_validation": 20},
    "model": {"filters": [2], "dense_units": 4},
    "training": {"epochs": 1, "batch_size": 20},
}


class Touch:
    """Its pickle creates a folder when it is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self._path),)


def plant_everywhere(count: int, seed: int, folder: Path) -> list[str]:
    """Columns and files in the seed's order, each once before any is repeated with another form of the payload."""
    chooser = random.Random(seed)
    clean, canary = folder / "clean", folder / "canary"
    clean.mkdir()
    (clean / "space.toml").write_text(SPACE)
    _run_commands(clean, [[*RUN, "12"]])
    places = chooser.sample([*COLUMNS, *FILES], len(COLUMNS) + len(FILES))
    violations = _check_payloads(folder / "payloads")
    for number in range(count):
        place = places[number % len(places)]
        here = folder / str(number)
        if place in FILES:
            here.mkdir()
            FILES[place](here, canary)
        else:
            copytree(clean, here)
            forms = _forms(canary)
            form = forms[0] if place == "the optimizer" else chooser.choice(forms)
            _plant_in_database(here / "studies" / "sweep.db", place, form)
            _run_commands(here, [*COMMANDS, [*RUN, "14"]])
        if canary.exists():
            canary.rmdir()
            violations.append(f"{place}: the payload was run")
    return violations


def _check_payloads(folder: Path) -> list[str]:
    """A payload that could not be run would show nothing."""
    folder.mkdir()
    pickle.loads(pickle.dumps(Touch(folder / "canary")))
    _write_keras(folder / "model.keras", folder / "lambda")
    import keras

    with contextlib.suppress(Exception):
        keras.models.load_model(folder / "model.keras", safe_mode=False)(np.zeros((1, 2)))
    return [f"the payload of {name} does nothing" for name in ("canary", "lambda") if not (folder / name).exists()]


# ---- the database ----


def _forms(canary: Path) -> list[bytes | str]:
    """As Optuna writes it, as a blob, and as text."""
    payload = pickle.dumps(Touch(canary))
    return [json.dumps(payload.hex()), payload, pickle.dumps(Touch(canary), 0).decode()]


def _plant_in_database(path: Path, place: str, form: bytes | str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        if place == "the optimizer":
            database.execute(
                "DELETE FROM trial_system_attributes WHERE key LIKE 'cma:optimizer:%' AND key NOT LIKE '%:0'"
            )
            database.execute(
                "UPDATE trial_system_attributes SET value_json = ? WHERE key LIKE 'cma:optimizer:0'", [form]
            )
        else:
            table, column = place.split(".")
            database.execute("DROP TRIGGER IF EXISTS sweep_finished_trials_stay")  # who writes here can remove it too
            row = f"SELECT max(rowid) FROM {table}"  # keys are unique
            database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ({row})", [form])


def _run_commands(folder: Path, commands: list[list[str]]) -> None:
    """Whatever they say; and what the dashboard reads."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        for command in commands:
            with contextlib.suppress(Exception, SystemExit):
                main(command)
        with contextlib.suppress(Exception):
            storage = LiveStorage(database_url(Path("studies")))
            for study in storage.get_all_studies():
                storage.get_all_trials(study._study_id)


# ---- files ----


def _plant_npz(folder: Path, canary: Path) -> None:
    """Images that are objects."""
    np.savez(folder / "images.npz", x=np.array([Touch(canary)] * 20), y=np.arange(20) % 2)
    (folder / "space.toml").write_text(SPACE + DATA)
    _run_commands(folder, [[*RUN, "2"]])


def _plant_raw_npz(folder: Path, canary: Path) -> None:
    """A file that NumPy would take for a pickle."""
    (folder / "images.npz").write_bytes(pickle.dumps(Touch(canary)))
    (folder / "space.toml").write_text(SPACE + DATA)
    _run_commands(folder, [[*RUN, "2"]])


def _plant_toml(folder: Path, canary: Path) -> None:
    """A space and a config that are a pickle."""
    (folder / "space.toml").write_bytes(pickle.dumps(Touch(canary)))
    _run_commands(folder, [[*RUN, "2"], ["check", "space.toml"], ["retrain", "space.toml"]])


def _plant_models(folder: Path, canary: Path) -> None:
    """What a retrain writes lies there already."""
    _write_keras(folder / "model.keras", canary)
    (folder / "model.weights.h5").write_bytes(pickle.dumps(Touch(canary)))
    (folder / "model.json").write_bytes(pickle.dumps(Touch(canary)))
    _retrain(folder)


def _plant_checkpoint(folder: Path, canary: Path) -> None:
    np.savez(folder / "checkpoint-0.npz", epoch=1, note=np.array([Touch(canary)]), variable_0=np.array([Touch(canary)]))
    _retrain(folder)


def _plant_raw_checkpoint(folder: Path, canary: Path) -> None:
    (folder / "checkpoint-0.npz").write_bytes(pickle.dumps(Touch(canary)))
    _retrain(folder)


def _plant_metrics(folder: Path, canary: Path) -> None:
    (folder / "metrics.json").write_bytes(pickle.dumps(Touch(canary)))
    _retrain(folder)


def _retrain(folder: Path) -> None:
    from sweep.results.retrain import Retraining

    with contextlib.suppress(SweepError):
        Retraining(TrialConfig.from_values(CONFIG, "test"), 1, folder, say=lambda line: None).run()


def _write_keras(path: Path, canary: Path) -> None:
    """A model whose Lambda layer is marshalled code that creates `canary` as soon as there is a file `armed`."""
    import keras

    armed = path.with_name("armed")
    code = f"lambda x: (__import__('os').path.exists({str(armed)!r}) and __import__('os').mkdir({str(canary)!r}), x)[1]"
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(eval(code))])
    model.save(path)
    armed.touch()
    assert b"__lambda__" in zipfile.ZipFile(path).read("config.json")


FILES: dict[str, Callable[[Path, Path], None]] = {
    "images of objects": _plant_npz,
    "images that are a pickle": _plant_raw_npz,
    "a space file that is a pickle": _plant_toml,
    "models and weights in a retrain's folder": _plant_models,
    "a checkpoint of objects": _plant_checkpoint,
    "a checkpoint that is a pickle": _plant_raw_checkpoint,
    "metrics that are a pickle": _plant_metrics,
}
FAULTS = [
    Fault(
        "planted pickle in a column or file",
        "nothing that was only data is run",
        len(COLUMNS) * 3 + len(FILES),
        12,
        plant_everywhere,
    )
]
