"""The only place that opens a database. Optuna's schema, created and migrated by Optuna; rows written by us.

`database` opens it (URLs, SQLite settings, names, reading), `lock` keeps a second launcher out, `rows` are the
statements, `live` is what a dashboard reads, and `write_behind` is the in-memory Optuna storage in front with its
transactions behind.
"""

from sweep.storage.database import (
    check_study_name,
    connect_reader,
    connect_writer,
    create_database,
    database_url,
    list_studies,
    read_study,
)
from sweep.storage.live import LiveStorage
from sweep.storage.lock import StudyLock
from sweep.storage.write_behind import ForeignChange, WriteBehindStorage, create_study

__all__ = [
    "ForeignChange",
    "LiveStorage",
    "StudyLock",
    "WriteBehindStorage",
    "check_study_name",
    "connect_reader",
    "connect_writer",
    "create_database",
    "create_study",
    "database_url",
    "list_studies",
    "read_study",
]
