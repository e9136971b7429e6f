"""The only place that opens a database. Optuna's schema, created and migrated by Optuna; rows written by us.

`database` knows URLs, and which `backend` is behind one: `sqlite` (`database_errors`, `files`, `lock`) or `postgres`
(`postgres_errors`, `postgres_lock`). `waiting` waits for them, `studies` reads, `reader` is Optuna's storage to read
by, `rows` are the statements, `live` is what a dashboard reads (of a large study a `selection`), and `write_behind` is
the in-memory Optuna storage in front, `writer` its transactions behind. `copying` is of whole studies. What of Optuna
is private stands in `optuna_internals`, for other packages too.

Damage is found by `integrity`: by SQLite's own check, by `wal` in its log, by `damage` in the rows with their digests
(`digest`). `backup` has what is put back then. What other programs wrote is read by `trial_rows`, and `set_aside` if
it is of no use.
"""

from sweep.storage.copying import copy_study
from sweep.storage.database import (
    back_up,
    backend_of,
    connect_reader,
    create_database,
    database_url,
    study_lock,
)
from sweep.storage.digest import CONFIRMATION
from sweep.storage.live import LiveStorage
from sweep.storage.set_aside import set_aside_lines
from sweep.storage.studies import check_is_there, check_rows, list_studies, read_study, reading
from sweep.storage.waiting import Wait
from sweep.storage.write_behind import STUDY_ID, ChangedMeanwhile, ForeignChange, WriteBehindStorage, create_study

__all__ = [
    "CONFIRMATION",
    "STUDY_ID",
    "ChangedMeanwhile",
    "ForeignChange",
    "LiveStorage",
    "Wait",
    "WriteBehindStorage",
    "back_up",
    "backend_of",
    "check_is_there",
    "check_rows",
    "connect_reader",
    "copy_study",
    "create_database",
    "create_study",
    "database_url",
    "list_studies",
    "read_study",
    "reading",
    "set_aside_lines",
    "study_lock",
]
