"""Help is instant, and each module imports only from what stands below it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sweep

PACKAGE = Path(sweep.__file__).parent
HEAVY = (
    "tensorflow",
    "keras",
    "jax",
    "optuna",
    "pandas",
    "plotly",
    "sklearn",
    "sqlalchemy",
    "numpy",
    "pydantic",
    "rich",
    "ray",
    "psycopg",
)
LEVELS = [  # from top to bottom
    {"cli"},
    {"commands"},
    {"check", "show", "show_trial", "dashboard", "report", "launch", "settle_function", "confirm"},
    {"show_confirmation"},
    {"settle", "confirm_plan"},
    {"objective", "tuner", "retrain", "export", "verify"},
    {"study", "progress", "callbacks", "terminal", "curves", "rehearsal", "seed_results", "saved_model", "raw_model"},
    {"history", "untried"},
    {"worker_choice"},
    {"executors", "pruners", "interruption", "dashboard_notes", "dashboard_storage", "failures", "running_trial"},
    {"samplers", "confirmation"},
    {"engines", "storage", "engine_choice", "cmaes_fence", "precision"},
    {"space_file", "devices", "config_file", "probe"},
    {"space_checks", "points"},
    {"search_space"},
    {"config_keys", "objective_section", "several_objectives", "steps", "stored_trials", "study_names"},
    {"parameters", "models", "objective_functions", "function_config"},
    {"optimizers", "data", "runs", "model_checks"},
    {"schedules", "seeding"},
    {"config", "users_code"},
    {"plain_values", "files", "process_lock"},
    {"errors", "masking", "counting", "cpu", "forking", "spelling", "text"},
]
FORBIDDEN = {
    "engines": {"optuna", "sqlalchemy"},
    "executors": {"optuna", "sqlalchemy", "keras"},
    "storage": {"keras", "tensorflow"},
    "study": {"keras", "tensorflow"},
    "tuner": {"keras", "tensorflow", "sqlalchemy"},
    "show": {"keras", "tensorflow"},
    "confirmation": {"keras", "tensorflow", "pandas", "plotly"},
    "confirm": {"keras", "tensorflow"},
    "dashboard": {"keras", "tensorflow"},
    "dashboard_notes": {"keras", "tensorflow", "sqlalchemy", "plotly", "pandas"},
    "export": {"keras", "tensorflow"},
    "report": {"keras", "tensorflow"},
    "objective_functions": {"keras", "tensorflow", "optuna", "numpy"},
    "engine_choice": {"keras", "tensorflow", "optuna"},
    "config": {"keras", "optuna", "numpy"},
    "function_config": {"keras", "optuna", "numpy"},
    "objective_section": {"keras", "optuna", "numpy"},
    "several_objectives": {"keras", "tensorflow", "sqlalchemy"},
}


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if room != "__init__":
            yield room, path


def imported(path):
    """Dotted names imported anywhere in the file, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def level(room):
    return next(number for number, rooms in enumerate(LEVELS) if room in rooms)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        *(
            [name, "--help"]
            for name in ("init", "check", "run", "list", "show", "dashboard", "report", "confirm", "copy", "export")
        ),
        ["retrain", "--help"],
        ["train", "--help"],
    ],
)
def test_no_help_loads_a_heavy_module(arguments):
    code = f"""
import sys
from sweep.cli import main
try:
    main({arguments!r})
except SystemExit as end:
    assert not end.code
heavy = [name for name in {HEAVY!r} if name in sys.modules]
sys.exit(f"loaded: {{heavy}}" if heavy else 0)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "usage: sweep" in result.stdout


def test_modules_import_only_from_below():
    upward = [
        f"{path.name} imports {name}"
        for room, path in modules()
        for name in imported(path)
        if name.startswith("sweep.") and name.split(".")[1] != room and level(name.split(".")[1]) <= level(room)
    ]
    assert upward == []


def test_rooms_keep_to_their_libraries():
    wrong = [
        f"{path.name} imports {name}"
        for room, path in modules()
        for name in imported(path)
        if name.split(".")[0] in FORBIDDEN.get(room, set())
    ]
    assert wrong == []


def test_every_module_has_a_level():
    assert {room for room, _ in modules()} == set().union(*LEVELS)
