"""The only place that opens a database. Optuna's schema, created and migrated by Optuna; rows written by us.

`database` makes and opens it (URLs, SQLite settings, names), `database_errors` says in words what SQLite raises and
waits while it is locked, `studies` reads, `lock` keeps a second launcher out, `rows` are the statements, `live` is what
a dashboard reads, and `write_behind` is the in-memory Optuna storage in front with its transactions behind.

Damage is found by `integrity`: by SQLite's own check, by `wal` in its log, by `damage` in the rows with their digests
(`digest`). `backup` has what is put back then.
"""

from sweep.storage.backup import back_up
from sweep.storage.database import (
    check_study_name,
    connect_reader,
    connect_writer,
    create_database,
    database_path,
    database_url,
)
from sweep.storage.database_errors import Wait
from sweep.storage.digest import CONFIRMATION
from sweep.storage.live import LiveStorage
from sweep.storage.lock import StudyLock
from sweep.storage.studies import check_is_there, check_rows, list_studies, read_study, reading
from sweep.storage.write_behind import STUDY_ID, ForeignChange, WriteBehindStorage, create_study

__all__ = [
    "CONFIRMATION",
    "STUDY_ID",
    "ForeignChange",
    "LiveStorage",
    "StudyLock",
    "Wait",
    "WriteBehindStorage",
    "back_up",
    "check_is_there",
    "check_rows",
    "check_study_name",
    "connect_reader",
    "connect_writer",
    "create_database",
    "create_study",
    "database_path",
    "database_url",
    "list_studies",
    "read_study",
    "reading",
]
