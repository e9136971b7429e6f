"""What every test file may use; nothing here knows the code under test."""

import os
import shutil
from pathlib import Path

import pytest

CHROMIUM_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--window-size=1400,1600"),
)

# What a test that uses one of these fixtures needs; whatever needs something is slow, and so is every injected fault.
NEEDED_BY_FIXTURE = {"browser": "browser", "server": "postgres", "ray_of_two_nodes": "ray"}
NEEDS = ("browser", "postgres", "ray", "jax", "exhaustive")
FAULTS = Path(__file__).parent / "faults"

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.pop("SWEEP_STORAGE", None)  # tests have studies of their own


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what they use, before `-m` chooses; files with slow tests start first."""
    for item in items:
        for fixture, need in NEEDED_BY_FIXTURE.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(need)
        if FAULTS in item.path.parents or any(item.get_closest_marker(need) for need in NEEDS):
            item.add_marker("slow")
    slow_files = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow_files)


@pytest.fixture(autouse=True)
def _environment_is_left_as_it_was():
    """What one test sets there would be another one's engine or database."""
    before = _of_sweep()
    yield
    assert _of_sweep() == before


def _of_sweep():
    return {name: value for name, value in os.environ.items() if name.startswith("SWEEP_")}


@pytest.fixture
def folder(request, tmp_path, monkeypatch):
    """The working folder of a test of commands, with the module's SPACE in space.toml."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEP_STUDIES", raising=False)
    (tmp_path / "space.toml").write_text(request.module.SPACE)
    return tmp_path


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """The folder SWEEP_DATA, which holds mnist/; without it a test of the real MNIST cannot run."""
    folder = os.environ.get("SWEEP_DATA")
    if not folder:
        pytest.skip("needs the real MNIST: set SWEEP_DATA to a folder that holds mnist/")
    return Path(folder)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A PostgreSQL, with a database for each test that asks for a new one."""
    from postgres_server import PostgresServer

    started = PostgresServer(tmp_path_factory.mktemp("server"))
    yield started
    started.stop()


@pytest.fixture(scope="module")
def ray_of_two_nodes():
    """Two nodes, each with room for a worker."""
    from ray_nodes import two_nodes

    with two_nodes() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Debian's Chromium."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs a browser: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*CHROMIUM_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    opened = webdriver.Chrome(options=options, service=Service(driver))
    yield opened
    opened.quit()
