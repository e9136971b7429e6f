"""A password in a storage URL, given to every command by flag and by environment: it is in no output and no file."""

import contextlib
import io
import os
import random
import sys
import traceback
from itertools import product
from pathlib import Path
from unittest import mock

from faults.fault import Fault

from sweep.cli.parser import main

PASSWORD = "hush-hush"
URLS = (
    "postgresql://me:{}@host.example/db",
    "postgresql+psycopg2://me:{}@host.example:5432/db?sslmode=require",
    "postgresql://me@host.example/db?password={}",
    "postgresql://:{}@host.example/db",
    "mysql://me:pa/ss@{}@host.example/db",
    "sqlite://me:{}@host.example/x.db",
    "sqlite:///x.db?password={}",
    "foo://me:{}@host.example:port/db",
    "me:{}@host.example/db",
    "postgresql://me:{}",
)
COMMANDS = (
    ("run", "space.toml", "--engine", "fake", "--trials", "2"),
    ("list",),
    ("show", "study"),
    ("show", "study", "0", "--json"),
    ("export", "study"),
    ("report", "study"),
    ("dashboard", "--port", "0"),
)
MISPLACED = (  # where the URL stands by mistake
    ("run", "space.toml", "--engine", "fake", "--trials", "2", "--study"),
    ("run", "space.toml", "--engine", "fake", "--trials", "2", "--set"),
    ("run", "space.toml", "--engine", "fake", "--trials", "2", "--sampler"),
    ("check", "space.toml", "--set"),
    ("run",),
    ("list",),
    ("show",),
    ("export",),
    ("report",),
    ("retrain",),
    ("init", "space.toml"),
    (),
)
WAYS = [
    *product(COMMANDS, ("flag", "environment"), URLS),
    *product(MISPLACED, ("last argument",), URLS[:2]),
]


def give_passwords(count: int, seed: int, folder: Path) -> list[str]:
    """Every command with every URL by flag and by environment, in the seed's order."""
    order = random.Random(seed).sample(WAYS, len(WAYS))
    (folder / "space.toml").write_text('study = { name = "study" }\ntraining = { epochs = 2 }\n')
    return [
        f"{command} with {url} by {way}: shown in {place}"
        for command, way, url in (order[number % len(order)] for number in range(count))
        for place in _find_password(folder, [*command], way, url.format(PASSWORD))
    ]


def _find_password(folder: Path, command: list[str], way: str, url: str) -> list[str]:
    """Where it stands after the command: outputs (what was raised too), names and contents of files."""
    arguments = {"flag": [*command, "--storage", url], "environment": command}.get(way, [*command, url])
    environment = {"SWEEP_STORAGE": url} if way == "environment" else {}
    out = io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
        mock.patch.dict(os.environ, environment),
        mock.patch.object(sys, "argv", ["sweep", *arguments]),
    ):
        try:
            code = main(arguments)
        except SystemExit:  # argparse has said why
            code = 2
        except Exception:
            code = 1
            traceback.print_exc(file=out)
    files = [path for path in folder.rglob("*") if PASSWORD in path.name or _holds(path)]
    shown = ["an output"] if PASSWORD in out.getvalue() else []
    accepted = ["nothing, but it was accepted"] if code == 0 else []
    return [*shown, *accepted, *map(str, files)]


def _holds(path: Path) -> bool:
    return path.is_file() and PASSWORD.encode() in path.read_bytes()


FAULTS = [
    Fault(
        "password in a storage URL",
        "0 hits in outputs, tracebacks, names and contents of files; a flag with one is refused",
        len(WAYS),
        40,
        give_passwords,
    )
]
