"""Backups of a database: taken at each start of a sweep, a bounded number kept, and named where a file is damaged.

`backups/` stands beside the database: `sweep.db.000017` is a whole database, as it was before the 17th start. A backup
appears under its name complete, on the disk, and checked.
"""

import os
import shlex
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from sweep.errors import StudyError
from sweep.storage.database_errors import BUSY_TIMEOUT_S, study_error, when_unlocked
from sweep.storage.files import held, sync, uri_to_read
from sweep.storage.integrity import copy_problem

FOLDER = "backups"
MOST_KEPT = 5


def back_up(path: Path) -> Path | None:
    """Copy the database by SQLite's online backup, whoever writes it; returns the copy, None if there is no study yet.

    StudyError if what was copied is damaged (what was kept so far stays), or if it cannot be written.
    """
    folder = path.parent / FOLDER
    partial = folder / f".{path.name}.partial"
    try:
        folder.mkdir(exist_ok=True)
        with held(folder / f".{path.name}.lock"):  # sweeps of other studies in the same file may start now
            for leftover in folder.glob(f"{partial.name}*"):  # of a process that was killed
                leftover.unlink()
            num_studies = when_unlocked(lambda: _copy(path, partial))
            problem = copy_problem(partial)
            if problem is not None or not num_studies:
                partial.unlink()
            if problem is not None:
                raise damaged(path, problem)
            return _keep(path, partial) if num_studies else None
    except (OSError, sqlite3.Error) as error:
        raise study_error(folder, error) from None


def damaged(path: Path, problem: str) -> StudyError:
    """The one line about a damaged database: what is wrong, and the command that puts the newest good backup back."""
    start = f"{path}: not usable as a study database: {problem}"
    backup = newest_good(path)
    if backup is None:
        return StudyError(f"{start}; there is no good backup of it in {path.parent / FOLDER}")
    taken = datetime.fromtimestamp(backup.stat().st_mtime)
    file, kept, log, index = (shlex.quote(f"{path}{suffix}") for suffix in ("", ".damaged", "-wal", "-shm"))
    command = f"mv {file} {kept} && rm -f {log} {index} && cp {shlex.quote(str(backup))} {file}"
    return StudyError(f"{start}; this puts the newest good backup back, of {taken:%Y-%m-%d %H:%M:%S}: {command}")


def newest_good(path: Path) -> Path | None:
    """The newest backup of the database that is whole."""
    return next((backup for backup in reversed(_backups(path)) if _is_good(backup)), None)


def _is_good(backup: Path) -> bool:
    try:
        return copy_problem(backup) is None
    except (OSError, StudyError):  # it cannot be read, or a sweep that starts has just removed it
        return False


def _backups(path: Path) -> list[Path]:
    """Oldest first."""
    found = (path.parent / FOLDER).glob(f"{path.name}.*")
    return sorted((backup for backup in found if backup.suffix[1:].isdecimal()), key=_number)


def _number(backup: Path) -> int:
    return int(backup.suffix[1:])


def _copy(path: Path, partial: Path) -> int:
    """All pages as of one moment; returns the number of studies in them."""
    source = sqlite3.connect(uri_to_read(path), BUSY_TIMEOUT_S, uri=True)
    with closing(source), closing(sqlite3.connect(partial)) as target:
        num_studies = int(source.execute("SELECT count(*) FROM studies").fetchone()[0])
        target.execute("PRAGMA journal_mode=OFF")  # nothing is there to go back to
        target.execute("PRAGMA synchronous=OFF")
        source.backup(target)
    sync(partial)
    return num_studies


def _keep(path: Path, partial: Path) -> Path:
    """Give it the next number, and remove the oldest ones."""
    before = _backups(path)
    number = _number(before[-1]) + 1 if before else 1
    backup = partial.with_name(f"{path.name}.{number:06d}")
    os.replace(partial, backup)
    sync(backup.parent)
    for oldest in [*before, backup][:-MOST_KEPT]:
        oldest.unlink(missing_ok=True)
    return backup
