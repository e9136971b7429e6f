"""Studies as they are read: one for a command, all for the list; whatever is damaged is refused in one line."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import optuna
import sqlalchemy
from optuna.storages._rdb import models  # Optuna's schema itself: copied tables would drift
from optuna.study import StudyDirection
from optuna.trial import TrialState

from sweep.errors import StudyError, SweepError
from sweep.several_objectives import losses, unbeaten
from sweep.storage.database import backend_of, check_study_name, connect_reader
from sweep.storage.database_errors import first_line


def check_rows(url: str, study_name: str | None = None, *, ends_only: bool = False) -> None:
    """StudyError, with the newest good backup, where a study or trial is not as the sweep wrote it.

    Of all studies, or of one; with `ends_only`, only the studies themselves and what their trials were told.
    """
    backend = backend_of(url)
    problem = backend.row_problem(study_name, ends_only=ends_only)
    if problem is not None:
        raise backend.damaged(problem)


def check_rows_after(url: str, study_id: int, row: int) -> None:
    """The same for the study's trials with a row id above `row`."""
    backend = backend_of(url)
    problem = backend.row_problem_after(study_id, row)
    if problem is not None:
        raise backend.damaged(problem)


@contextmanager
def reading(url: str) -> Iterator[None]:
    """What Optuna raises over rows that it cannot read, as a StudyError: a damaged row may raise anything."""
    try:
        yield
    except SweepError:
        raise
    except Exception as error:
        backend = backend_of(url)
        is_damage = backend.is_damage(error)
        raise (backend.unreadable(first_line(error)) if is_damage else backend.error(error)) from None


def read_study(url: str, name: str) -> optuna.Study:
    """A study to read, checked. StudyError, with the names there are, if it does not exist."""
    backend_of(url).check()
    storage = connect_reader(url)
    check_rows(url, check_study_name(name))
    with reading(url):
        _check_is_there(storage, name)
        study = optuna.load_study(study_name=name, storage=storage)
        _read_all(study)
    return study


def check_is_there(url: str, name: str) -> None:
    """StudyError, with the names there are, if there is no such study."""
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
    """Raise what reading it raises; Optuna keeps the directions and the finished trials."""
    study.get_trials(deepcopy=False)
    study.directions  # noqa: B018
    study.user_attrs  # noqa: B018


@dataclass
class StudySummary:
    """One line of `sweep list`."""

    name: str
    directions: list[StudyDirection]
    num_trials: Counter[str] = field(default_factory=Counter)  # state -> trials
    best_value: float | None = None  # of one objective
    num_best_trials: int | None = None  # the Pareto-optimal ones, of several objectives
    last_activity: datetime | None = None


def list_studies(url: str) -> list[StudySummary]:
    """Every study with counts, best value and time of the last change, checked."""
    backend_of(url).check()
    engine = connect_reader(url).engine
    check_rows(url, ends_only=True)
    with reading(url), engine.connect() as connection:
        return _read_summaries(connection)


def _read_summaries(connection: sqlalchemy.Connection) -> list[StudySummary]:
    """By three queries, and one for each study of several objectives."""
    studies, directions = models.StudyModel.__table__.c, models.StudyDirectionModel.__table__.c
    query = sqlalchemy.select(studies.study_id, studies.study_name, directions.direction).join(
        models.StudyDirectionModel.__table__, directions.study_id == studies.study_id
    )
    summaries: dict[int, StudySummary] = {}
    for row in connection.execute(query.order_by(studies.study_id, directions.objective)):
        summaries.setdefault(row.study_id, StudySummary(row.study_name, [])).directions.append(row.direction)
    for study_id, state, count, last in connection.execute(_counts_query()):
        summary = summaries[study_id]
        summary.num_trials[state.name] = count
        summary.last_activity = max(filter(None, (summary.last_activity, last)), default=None)
    ends = {study_id: (low, high) for study_id, low, high in connection.execute(_values_query())}
    for study_id, summary in summaries.items():
        if len(summary.directions) > 1:
            points = _points(connection, study_id)
            summary.num_best_trials = len(unbeaten([losses(point, summary.directions) for point in points]))
        elif study_id in ends:
            summary.best_value = ends[study_id][summary.directions[0] == StudyDirection.MAXIMIZE]
    return list(summaries.values())


def _points(connection: sqlalchemy.Connection, study_id: int) -> list[list[float]]:
    """The values of each COMPLETE trial."""
    trials, values = models.TrialModel.__table__.c, models.TrialValueModel.__table__
    query = sqlalchemy.select(trials.trial_id, values.c.value, values.c.value_type)
    query = query.join(values, values.c.trial_id == trials.trial_id).order_by(trials.trial_id, values.c.objective)
    query = query.where(trials.study_id == study_id, trials.state == TrialState.COMPLETE)
    points: dict[int, list[float]] = {}
    for trial_id, value, kind in connection.execute(query):
        points.setdefault(trial_id, []).append(models.TrialValueModel.stored_repr_to_value(value, kind))
    return list(points.values())


def _counts_query() -> Any:
    trials = models.TrialModel.__table__.c
    last = sqlalchemy.func.max(sqlalchemy.func.coalesce(trials.datetime_complete, trials.datetime_start))
    count = sqlalchemy.func.count()
    typed = sqlalchemy.type_coerce(last, sqlalchemy.DateTime())
    return sqlalchemy.select(trials.study_id, trials.state, count, typed).group_by(trials.study_id, trials.state)


def _values_query() -> Any:
    trials, values = models.TrialModel.__table__.c, models.TrialValueModel.__table__
    low, high = sqlalchemy.func.min(values.c.value), sqlalchemy.func.max(values.c.value)
    joined = sqlalchemy.select(trials.study_id, low, high).join(values, values.c.trial_id == trials.trial_id)
    return joined.where(trials.state == TrialState.COMPLETE).group_by(trials.study_id)
