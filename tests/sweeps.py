"""What the tests of studies share: a small space, a tuner on the fake engine, and a study as comparable values."""

import io
import json
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna

from sweep.config.study_settings import StudySettings
from sweep.config.trial import TrialConfig
from sweep.engines.base import Engine
from sweep.engines.fake import FakeEngine
from sweep.executors.base import Event, Executor
from sweep.executors.in_process import InProcessExecutor
from sweep.space.file import parse_space
from sweep.space.space import Space
from sweep.storage import database_url
from sweep.tuning.limits import Limits
from sweep.tuning.progress import QuietProgress
from sweep.tuning.study import SweepStudy, open_study, stored_settings
from sweep.tuning.tuner import Tuner

NASTY = 'no ``` such <img src=x onerror="alert(1)"> | `layer` [/red]'
RANDOM_SPACE = {
    "l2": {"key": "regularizer.l2", "type": "float", "low": 1e-6, "high": 1e-2, "log": True},
    "momentum": {"key": "optimizer.momentum", "type": "float", "low": 0.0, "high": 0.9},
    "initial_rate": {"key": "schedule.initial_learning_rate", "type": "float", "low": 1e-4, "high": 1e-2, "log": True},
    "num_convolutions": {"type": "int", "low": 1, "high": 2},
    "filters_1": {"key": "model.filters.1", "type": "categorical", "choices": [8, 16, 32]},
    "filters_2": {
        "key": "model.filters.2",
        "type": "int",
        "low": 8,
        "high": 64,
        "step": 8,
        "when": {"num_convolutions": 2},
    },
}
GRID_SPACE = {
    "momentum": {"key": "optimizer.momentum", "type": "float", "low": 0.0, "high": 0.8, "step": 0.2},
    "filters_1": {"key": "model.filters.1", "type": "categorical", "choices": [8, 16, 32]},
}


def make_space(sampler: str = "random", pruner: str = "none", epochs: int = 9, **sections: Any) -> Space:
    """A space of the fake engine's liking; `sections` replace whole sections of the file."""
    content = {
        "study": {"name": "study"},
        "sampler": {"name": sampler},
        "pruner": {"name": pruner},
        "training": {"epochs": epochs},
        "space": GRID_SPACE if sampler == "grid" else RANDOM_SPACE,
    }
    return parse_space({**content, **sections}, "space.toml")


def make_settings(space: Space, **changes: Any) -> StudySettings:
    """Settings as `sweep run` would store them."""
    values: dict[str, Any] = {
        "space": space.record(),
        "sampler": space.sampler.model_dump(),
        "pruner": space.pruner.model_dump(),
        "seed": 0,
        "data_hash": "",
        "engine": "fake",
        "num_lanes": 1,
        "threads": 1,
        "device": "none",
        "keras_backend": "none",
    }
    return StudySettings(**{**values, **changes})


def open_in(folder: Path, space: Space, **changes: Any) -> SweepStudy:
    """The study named `study` of a folder's database, made or resumed."""
    url = database_url(folder)
    return open_study(url, "study", space, make_settings(space, **changes), stored_settings(url, "study"))


def run_sweep(
    folder: Path,
    space: Space,
    num_trials: int = 20,
    num_lanes: int = 1,
    executor: Executor | None = None,
    timeout_s: float | None = None,
    max_failures: int | None = None,
) -> SweepStudy:
    """Open (or resume) and run to the limits, on the fake engine unless an executor is given."""
    study = open_in(folder, space, num_lanes=num_lanes)
    executor = executor or InProcessExecutor(FakeEngine(num_lanes))
    Tuner(study, space, executor, Limits(num_trials, timeout_s, max_failures), QuietProgress(), seed=0).run()
    return study


class FailingEngine(FakeEngine):
    """Cannot build its third config, and says so in Markdown, HTML and rich's markup."""

    num_admitted = 0

    def admit(self, lane: int, config: TrialConfig) -> None:
        self.num_admitted += 1
        if self.num_admitted == 3:
            raise ValueError(NASTY)
        super().admit(lane, config)


class Killed(BaseException):
    """Stands in for kill -9: nothing of the process runs any more, so nothing more is written."""


class DyingExecutor(InProcessExecutor):
    """Dies after so many waits."""

    def __init__(self, num_lanes: int, num_waits: int, engine: Engine | None = None) -> None:
        super().__init__(engine or FakeEngine(num_lanes))
        self._num_waits = num_waits

    def wait(self) -> list[Event]:
        if self._num_waits == 0:
            raise Killed
        self._num_waits -= 1
        return super().wait()


def read_trials(folder: Path, name: str = "study") -> list[dict[str, Any]]:
    """Every trial as plain Optuna reads it, without times and without our notes on deaths."""
    study = optuna.load_study(study_name=name, storage=database_url(folder))
    return [trial_values(trial) for trial in study.trials]


def trial_values(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """What must be equal of two trials."""
    user_attrs = dict(trial.user_attrs)
    for key in ("attempt", "host", "peak_memory_mb", "log"):
        user_attrs.pop(key, None)  # how a failed trial was trained
    history = [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in user_attrs.pop("history", [])]
    system_attrs = {key: value for key, value in trial.system_attrs.items() if not key.startswith("sweep:")}
    return {
        "number": trial.number,
        "state": trial.state.name,
        "values": trial.values,
        "params": trial.params,
        "distributions": trial.distributions,
        "intermediate_values": trial.intermediate_values,
        "user_attrs": user_attrs,
        "history": history,
        "system_attrs": system_attrs,
    }


def request(
    app: Any,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    host: str = "127.0.0.1:8080",
    origin: str | None = None,
) -> tuple[int, Any]:
    """Status and JSON of a WSGI application's answer."""
    content = b"" if body is None else json.dumps(body).encode()
    path, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "HTTP_HOST": host,
        "SERVER_NAME": "gpu1.lab.example",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(content)),
        "wsgi.input": io.BytesIO(content),
        **({} if origin is None else {"HTTP_ORIGIN": origin}),
    }
    setup_testing_defaults(environ)
    answers = []
    text = b"".join(app(environ, lambda status, headers, info=None: answers.append(int(status[:3]))))
    return answers[0], json.loads(text or b"{}")
