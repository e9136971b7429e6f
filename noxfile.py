"""Sessions that check a change, each in an environment of its own: `nox`, or `nox -s lint docs`."""

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "docs", "tests"]
nox.options.reuse_existing_virtualenvs = True


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """Run all tests on TensorFlow; `nox -s tests-3.11 -- -m "not slow"` for the quick ones."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def exhaustive(session: nox.Session) -> None:
    """Run the further variations that `pytest` alone leaves out: more samplers, lanes, databases and kills."""
    session.install("-e", ".[test]")
    session.run("pytest", "-m", "exhaustive", *session.posargs)


@nox.session
def tests_jax(session: nox.Session) -> None:
    """Run the contracts of engines, models and Keras backends with Keras on JAX, and the tests of the packed engine."""
    session.install("-e", ".[test]")
    of_engines = ("backends", "contract", "optimizers", "schedules", "augmentation")
    of_lanes = ("memory", "folds", "refill", "runs", "steps", "class_weight", "losses")
    paths = [f"tests/engines/test_{name}.py" for name in of_engines]
    paths += [f"tests/engines/packed/test_{name}.py" for name in of_lanes] + ["tests/models/test_families.py"]
    quick_to_compile = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    session.run("pytest", "-m", "", *paths, *session.posargs, env={"KERAS_BACKEND": "jax", **quick_to_compile})
    session.run("pytest", "-m", "jax", "tests/engines", *session.posargs)  # these set the backend themselves


@nox.session(python="3.11", venv_backend="uv")
def lowest(session: nox.Session) -> None:
    """Run the quick tests with the lowest version of each dependency that pyproject.toml allows. Needs uv."""
    session.install("--resolution", "lowest-direct", "-e", ".[test]")
    session.run("pytest", "-m", "not slow", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error. `nox -s docs -- serve` shows it while you write."""
    session.install("-e", ".[docs]")
    session.run("mkdocs", *(session.posargs or ["build", "--strict", "--site-dir", session.create_tmp()]))


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, style and types."""
    session.install("-e", ".[test]")
    session.run("ruff", "format", "--check", ".")
    session.run("ruff", "check", ".")
    session.run("mypy")
