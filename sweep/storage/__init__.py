"""Open databases; no other package does. Optuna creates the schema, and sweep writes the rows.

- Databases: `database` parses URLs and returns the `backend` of one, `sqlite` or `postgres`. `waiting` retries while a
  database is locked.
- Reading: `studies` reads for a command, `reader` as an Optuna storage, `live` for a dashboard (a `selection` of a
  large study). `trial_rows` reads what other programs wrote, and `set_aside` marks what cannot be used.
- Writing: `write_behind` is an in-memory Optuna storage (`memory`) whose changes are collected (`pending_storage`,
  `pending_rows`) and written by the transactions of `writer` with the statements of `rows`. `foreign_changes` adopts
  what other programs wrote since. `new_study` creates a study, `copying` copies one.
- Damage: `sqlite.integrity` runs SQLite's own check, `sqlite.wal` checks the write-ahead log, and `damage` compares
  rows with their digests (`digest`, added by `sealing`). `sqlite.backup` keeps backups to restore.

Private parts of Optuna are used in `optuna_internals` only, also on behalf of other packages.
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
from sweep.storage.foreign_changes import ForeignChange
from sweep.storage.live import LiveStorage
from sweep.storage.memory import STUDY_ID
from sweep.storage.new_study import create_study
from sweep.storage.set_aside import set_aside_lines
from sweep.storage.studies import check_is_there, check_rows, list_studies, read_study, reading
from sweep.storage.waiting import Wait
from sweep.storage.write_behind import ChangedMeanwhile, WriteBehindStorage

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
