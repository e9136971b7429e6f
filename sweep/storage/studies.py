"""Read one study for a command, or a summary of all for `sweep list`; damaged ones raise StudyError."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import optuna
import sqlalchemy
from optuna.study import StudyDirection
from optuna.trial import TrialState

from sweep.errors import StudyError, SweepError
from sweep.pareto import losses, unbeaten
from sweep.storage import rows
from sweep.storage.database import backend_of, connect_reader
from sweep.storage.reader import study_directions
from sweep.storage.sqlite.errors import driver_message
from sweep.storage.trial_rows import plain, read_number


def check_rows(url: str, study_name: str | None = None, *, ends_only: bool = False) -> None:
    """Compare studies and their trials with their digests.

    Args:
        url: URL of the database.
        study_name: Name of a study; None for all.
        ends_only: Whether only the studies themselves and the states and values of their trials are compared.

    Raises:
        StudyError: One was changed since the sweep wrote it; the message names the newest good backup.
    """
    backend = backend_of(url)
    problem = backend.row_problem(study_name, ends_only=ends_only)
    if problem is not None:
        raise backend.damaged(problem)


def check_rows_after(url: str, study_id: int, row: int) -> None:
    """Check the study's trials with a row id above `row` as `check_rows` does."""
    backend = backend_of(url)
    problem = backend.row_problem_after(study_id, row)
    if problem is not None:
        raise backend.damaged(problem)


@contextmanager
def reading(url: str) -> Iterator[None]:
    """Convert any error of the body to a StudyError, as Optuna may raise anything for rows that it cannot read."""
    try:
        yield
    except SweepError:
        raise
    except Exception as error:
        backend = backend_of(url)
        is_damage = backend.is_damage(error)
        raise (backend.unreadable(driver_message(error)) if is_damage else backend.error(error)) from None


def read_study(url: str, name: str) -> optuna.Study:
    """Open a study for reading, after checking it.

    Args:
        url: URL of the database.
        name: Name of the study.

    Returns:
        The study.

    Raises:
        StudyError: It does not exist (the message lists the existing names), or it is damaged.
    """
    backend_of(url).check()
    storage = connect_reader(url)
    check_rows(url, name)
    with reading(url):
        _check_is_there(storage, name)
        study = optuna.load_study(study_name=name, storage=storage)
        _read_all(study)
    return study


def check_is_there(url: str, name: str) -> None:
    """Raise StudyError, which lists the existing names, if there is no such study."""
    backend_of(url).check()
    with reading(url):
        _check_is_there(connect_reader(url), name)


def _check_is_there(storage: Any, name: str) -> None:
    try:
        storage.get_study_id_from_name(name)
    except KeyError:
        names = ", ".join(study.study_name for study in storage.get_all_studies()) or "none"
        raise StudyError(f"no study named {name}; there are: {names}") from None


def _read_all(study: optuna.Study) -> None:
    """Read the whole study, so that errors are raised here; Optuna caches directions and finished trials."""
    study.get_trials(deepcopy=False)
    if not study.directions:
        raise ValueError("it has no direction")
    study.user_attrs  # noqa: B018


@dataclass
class StudySummary:
    """A row of `sweep list`.

    Attributes:
        name: Name of the study.
        directions: The direction of each objective.
        num_trials: The number of trials by state.
        best_value: The best value; None without a COMPLETE trial, and for several objectives.
        num_best_trials: The number of Pareto-optimal trials; None for a single objective.
        last_activity: Time of the last change of a trial, naive UTC.
    """

    name: str
    directions: list[StudyDirection]
    num_trials: Counter[str] = field(default_factory=Counter)
    best_value: float | None = None
    num_best_trials: int | None = None
    last_activity: datetime | None = None


def list_studies(url: str, damaged: dict[str, StudyError] | None = None) -> list[StudySummary]:
    """Summarize all studies of a database, after checking them.

    Args:
        url: URL of the database.
        damaged: Filled with the errors of damaged studies by name; None to raise the first one instead.

    Returns:
        A summary of each study that is not damaged.

    Raises:
        StudyError: The database cannot be read, or a study is damaged and `damaged` is None.
    """
    backend = backend_of(url)
    backend.check()
    reader = connect_reader(url)
    with reading(url), reader.at_one_moment() as connection:
        summaries = _read_summaries(connection)
    problems = {summary.name: backend.row_problem(summary.name, ends_only=True) for summary in summaries}
    errors = {name: backend.damaged(problem) for name, problem in problems.items() if problem is not None}
    if errors and damaged is None:
        raise next(iter(errors.values()))
    if damaged is not None:
        damaged |= errors
    return [summary for summary in summaries if summary.name not in errors]


def _read_summaries(connection: sqlalchemy.Connection) -> list[StudySummary]:
    """Return the summaries of all studies, read by four queries."""
    directions = study_directions(connection)
    query = sqlalchemy.select(_STUDIES.study_id, rows.STUDY_NAME).order_by(_STUDIES.study_id)
    summaries = {row: StudySummary(name, directions.get(row, [])) for row, name in connection.execute(query)}
    for study_id, state, is_usable, count, last in connection.execute(_counts_query()):
        if study_id not in summaries:  # trials of a study that was deleted by hand
            continue
        summary = summaries[study_id]
        summary.num_trials[state if is_usable and state in TrialState.__members__ else TrialState.FAIL.name] += count
        summary.last_activity = max(filter(None, (summary.last_activity, _moment(last))), default=None)
    for study_id, points in _points(connection, directions).items():
        if study_id not in summaries:
            continue
        summary = summaries[study_id]
        if len(summary.directions) > 1:
            summary.num_best_trials = len(unbeaten([losses(point, summary.directions) for point in points]))
        else:
            best = max if summary.directions[0] == StudyDirection.MAXIMIZE else min
            summary.best_value = best((value for (value,) in points if math.isfinite(value)), default=None)
    return list(summaries.values())


def _points(
    connection: sqlalchemy.Connection, directions: Mapping[int, Sequence[StudyDirection]]
) -> dict[int, list[list[float]]]:
    """Return, by study, the values of each COMPLETE trial that has a number for each objective."""
    columns = (_TRIALS.study_id, _VALUES.trial_id, *map(plain, (_VALUES.objective, _VALUES.value, _VALUES.value_type)))
    query = sqlalchemy.select(*columns).join(rows.TRIALS, _VALUES.trial_id == _TRIALS.trial_id)
    found: dict[tuple[int, int], dict[int, float]] = {}
    for study_id, trial_id, objective, *stored in connection.execute(query.where(_IS_COMPLETE, _IS_USABLE)):
        with suppress(KeyError, TypeError):
            found.setdefault((study_id, trial_id), {})[objective] = read_number(*stored)
    points: dict[int, list[list[float]]] = {study_id: [] for study_id in directions}
    for (study_id, _), values in found.items():
        objectives = range(len(directions.get(study_id, ())))
        if objectives and values.keys() == {*objectives}:
            points[study_id].append([values[objective] for objective in objectives])
    return points


def _num(table: sqlalchemy.FromClause, condition: Any) -> Any:
    query = sqlalchemy.select(sqlalchemy.func.count()).select_from(table).where(condition)
    return query.correlate(rows.TRIALS).scalar_subquery()


_STUDIES, _TRIALS, _VALUES = rows.STUDIES.c, rows.TRIALS.c, rows.TRIAL_VALUES.c
_COUNTED = rows.TRIAL_VALUES.alias("counted")
# a COMPLETE trial without a value for each objective is set aside (see `set_aside`)
_STATE: Any = sqlalchemy.cast(_TRIALS.state, sqlalchemy.String)  # SQLite columns may contain any text
_IS_COMPLETE: Any = TrialState.COMPLETE.name == _STATE
_IS_USABLE = sqlalchemy.or_(
    sqlalchemy.not_(_IS_COMPLETE),
    _num(_COUNTED, _COUNTED.c.trial_id == _TRIALS.trial_id)
    == _num(rows.STUDY_DIRECTIONS, rows.STUDY_DIRECTIONS.c.study_id == _TRIALS.study_id),
)


def _counts_query() -> Any:
    trials = sqlalchemy.select(
        _TRIALS.study_id,
        _STATE.label("state"),
        _IS_USABLE.label("is_usable"),
        plain(sqlalchemy.func.coalesce(_TRIALS.datetime_complete, _TRIALS.datetime_start)).label("last"),
    ).subquery()
    found = trials.c
    query = sqlalchemy.select(
        found.study_id, found.state, found.is_usable, sqlalchemy.func.count(), sqlalchemy.func.max(found.last)
    )
    return query.group_by(found.study_id, found.state, found.is_usable)


def _moment(stored: Any) -> datetime | None:
    """Return a stored time as naive UTC; None for an invalid value."""
    try:
        return stored if stored is None or isinstance(stored, datetime) else datetime.fromisoformat(stored)
    except (TypeError, ValueError):
        return None
