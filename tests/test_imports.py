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
LAYERS = (  # from top to bottom; what lies in the package's root is the ground floor
    "testing",
    "cli",
    "api",
    "results",
    "tuning",
    "executors",
    "engines",
    "storage",
    "models",
    "data",
    "space",
    "config",
    "metrics",
    "plugins",
    "system",
)
GROUND = {"__init__", "errors", "options", "pareto", "spelling", "text"}
FORBIDDEN = {  # libraries by package, or by module where that says more
    "config": {"keras", "optuna", "numpy"},
    "data": {"optuna", "sqlalchemy"},
    "models": {"optuna", "sqlalchemy"},
    "models.family": {"keras", "tensorflow"},
    "models.cost": {"keras", "tensorflow"},
    "storage": {"keras", "tensorflow"},
    "engines": {"optuna", "sqlalchemy"},
    "engines.auto": {"keras", "tensorflow", "optuna"},
    "executors": {"optuna", "sqlalchemy", "keras"},
    "tuning.study": {"keras", "tensorflow"},
    "tuning.tuner": {"keras", "tensorflow", "sqlalchemy"},
    "tuning.plan": {"keras", "tensorflow"},
    "tuning.dashboard_notes": {"keras", "tensorflow", "sqlalchemy", "plotly", "pandas"},
    "results.confirmation": {"keras", "tensorflow", "pandas", "plotly"},
    "results.confirm": {"keras", "tensorflow"},
    "results.export": {"keras", "tensorflow"},
    "results.report": {"keras", "tensorflow"},
    "cli.tables": {"keras", "tensorflow"},
    "cli.dashboard_server": {"keras", "tensorflow"},
    "space.functions": {"keras", "tensorflow", "optuna", "numpy"},
    "space.objective": {"keras", "optuna", "numpy"},
    "pareto": {"keras", "tensorflow", "sqlalchemy"},
}


def modules():
    """Dotted names below `sweep`, with their files."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        yield name.removesuffix(".__init__"), path


def imported(path):
    """Dotted names imported anywhere in the file, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def layer(name):
    """Of a dotted name below `sweep`: its package's place, the ground's below all."""
    package = name.split(".")[0]
    return LAYERS.index(package) if package in LAYERS else len(LAYERS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        *(
            [name, "--help"]
            for name in (
                "init",
                "check",
                "run",
                "list",
                "show",
                "dashboard",
                "report",
                "confirm",
                "copy",
                "migrate",
                "export",
            )
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


def test_a_module_imports_from_its_own_package_and_those_below():
    upward = [
        f"{name} imports {other}"
        for name, path in modules()
        for other in imported(path)
        if name != "__init__"  # the facade
        and other.startswith("sweep.")
        and layer(other.removeprefix("sweep.")) < layer(name)
    ]
    assert upward == []


@pytest.mark.slow
def test_packages_keep_to_their_libraries():
    wrong = [
        f"{name} imports {other}"
        for name, path in modules()
        for place, libraries in FORBIDDEN.items()
        for other in imported(path)
        if f"{name}.".startswith(f"{place}.") and other.split(".")[0] in libraries
    ]
    assert wrong == []
    assert FORBIDDEN.keys() <= {name for name, _ in modules()}


def test_the_root_holds_packages_and_the_ground_floor_alone():
    assert {name for name, path in modules() if path.parent == PACKAGE} == GROUND
    assert {path.parent.name for _, path in modules() if path.parent.parent == PACKAGE} <= set(LAYERS)


@pytest.mark.slow
@pytest.mark.parametrize("module", ["sweep.api.running", "sweep.api.confirming", "sweep.api.retraining"])
def test_the_keras_backend_is_not_imported_before_the_device_is_set_up(module):
    """TensorFlow reads its settings (oneDNN, threads) when it is imported: what comes later is ignored."""
    code = (
        f"import sys, {module}; sys.exit(str([name for name in ('tensorflow', 'keras', 'jax') if name in sys.modules]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stderr.strip() == "[]"
