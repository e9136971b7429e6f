"""The only place that opens a database. Optuna's schema, created and migrated by Optuna; rows written by us.

- Where a database is: `database` knows URLs, and which `backend` is behind one, `sqlite` or `postgres`. `waiting`
  waits for them.
- Reading: `studies` for a command, `reader` as an Optuna storage, `live` for a dashboard (of a large study a
  `selection`). What other programs wrote is read by `trial_rows`, and `set_aside` if it is of no use.
- Writing: `write_behind` is the in-memory Optuna storage in front (`memory`, whose changes are pending in
  `pending_storage`), `writer` its transactions behind, of `pending_rows` by the statements of `rows`. `foreign_changes`
  are what other programs wrote meanwhile. `new_study` creates one, `copying` copies one.
- Damage: found by SQLite's own check (`sqlite.integrity`), in its log (`sqlite.wal`), and in the rows by their digests
  (`digest`, added by `sealing`, compared by `damage`). `sqlite.backup` has what is put back then.

Private parts of Optuna are used in `optuna_internals` alone, for other packages too.
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
