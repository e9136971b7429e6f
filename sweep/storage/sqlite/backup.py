"""Back up a database at each start of a sweep, keep the newest backups, and name a good one if the file is damaged.

The folder `backups` is next to the database: `sweep.db.000017` is a complete database, as it was before the 17th start.
A backup gets its name after it has been written to the disk and checked.
"""

import glob
import os
import shlex
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from sweep.errors import StudyError
from sweep.storage.sqlite.errors import BUSY_TIMEOUT_S, study_error, when_unlocked
from sweep.storage.sqlite.files import connect_to_read, held
from sweep.storage.sqlite.integrity import copy_problem
from sweep.system.files import sync, sync_folder
from sweep.text import counted

FOLDER = "backups"
MOST_KEPT = 5


def back_up(path: Path) -> Path | None:
    """Copy the database by SQLite's online backup, which works while other processes write.

    Args:
        path: The database.

    Returns:
        The path of the backup. None if there is no study yet, or if a study's rows are damaged: the older backups are
        kept then, and the other studies can be used.

    Raises:
        StudyError: The file is damaged as a whole, or the backup cannot be written. The older backups are kept.
    """
    folder = path.parent / FOLDER
    partial = folder / f".{path.name}.partial"
    try:
        folder.mkdir(exist_ok=True)
        with held(folder / f".{path.name}.lock"):  # sweeps of other studies in the same file may start too
            for leftover in folder.glob(f"{partial.name}*"):  # left by a process that was killed
                leftover.unlink()
            num_studies = when_unlocked(path, lambda: _copy(path, partial))
            problem = copy_problem(partial, with_rows=False)
            is_good = problem is None and bool(num_studies) and copy_problem(partial) is None
            if not is_good:  # an older good backup must not be replaced by a damaged one
                partial.unlink()
            if problem is not None:
                raise damaged(path, problem)
            return _keep(path, partial) if is_good else None
    except (OSError, sqlite3.Error) as error:
        raise study_error(folder, error) from None


def damaged(path: Path, problem: str) -> StudyError:
    """Return the error for a damaged database.

    Args:
        path: The database.
        problem: What is wrong with it.

    Returns:
        The error, with the command that restores the newest good backup.
    """
    start = f"{path}: not usable as a study database: {problem}"
    backup = newest_good(path)
    if backup is None:
        return StudyError(f"{start}; there is no good backup of it in {path.parent / FOLDER}")
    taken = datetime.fromtimestamp(backup.stat().st_mtime)
    return StudyError(
        f"{start}; stop what uses it, then this moves it aside with its log and restores the newest good backup, of "
        f"{taken:%Y-%m-%d %H:%M:%S} with {_trials_in(backup, path)}: {_command(path, backup)}"
    )


def _command(path: Path, backup: Path) -> str:
    """Return the command that restores a backup.

    The logs are moved: SQLite would apply them to the backup if they stayed, and they may contain the newest trials.
    """
    aside = f"{path}.damaged-{datetime.now():%Y%m%d-%H%M%S}"
    logs = glob.escape(path.name) + "-*"
    file, folder, aside, logs, copied = map(shlex.quote, map(str, (path, path.parent, aside, logs, backup)))
    find = f"find {folder} -maxdepth 1 -name {logs} -exec mv {{}} {aside} \\;"
    return f"mkdir {aside} && mv {file} {aside} && {find} && cp {copied} {file}"


def _trials_in(backup: Path, path: Path) -> str:
    """Describe how many finished trials the backup has, and how many the damaged database still shows if more."""
    then, now = _num_finished(backup, "?mode=ro&immutable=1"), _num_finished(path, "?mode=ro")
    more = f" (the damaged one shows {now}; missing trials are trained again)" if now > then else ""
    return counted(then, "finished trial") + more


def _num_finished(path: Path, flags: str) -> int:
    """Return the number of finished trials; 0 if it cannot be read. SQLite would delete the log of an empty file."""
    query = "SELECT count(*) FROM trials WHERE state IN ('COMPLETE', 'PRUNED', 'FAIL')"
    try:
        with closing(sqlite3.connect(f"file:{path}{flags}", BUSY_TIMEOUT_S, uri=True)) as database:
            return int(database.execute(query).fetchone()[0]) if path.stat().st_size else 0
    except (OSError, sqlite3.Error):
        return 0


def newest_good(path: Path) -> Path | None:
    """Return the newest intact backup of the database; None if there is none."""
    return next((backup for backup in reversed(_backups(path)) if _is_good(backup)), None)


def _is_good(backup: Path) -> bool:
    try:
        return copy_problem(backup) is None
    except (OSError, StudyError):  # it cannot be read, or another sweep has just removed it
        return False


def _backups(path: Path) -> list[Path]:
    """Return the backups of a database, oldest first."""
    found = (path.parent / FOLDER).glob(f"{path.name}.*")
    return sorted((backup for backup in found if backup.suffix[1:].isdecimal()), key=_number)


def _number(backup: Path) -> int:
    return int(backup.suffix[1:])


def _copy(path: Path, partial: Path) -> int:
    """Copy a snapshot of the database. Return the number of studies in it."""
    source = connect_to_read(path, BUSY_TIMEOUT_S)
    with closing(source), closing(sqlite3.connect(partial)) as target:
        num_studies = int(source.execute("SELECT count(*) FROM studies").fetchone()[0])
        target.execute("PRAGMA journal_mode=OFF")  # an incomplete copy is deleted, not rolled back
        target.execute("PRAGMA synchronous=OFF")
        source.backup(target)
    sync(partial)
    return num_studies


def _keep(path: Path, partial: Path) -> Path:
    """Give a backup the next number, and remove the oldest ones. Return its path."""
    before = _backups(path)
    number = _number(before[-1]) + 1 if before else 1
    backup = partial.with_name(f"{path.name}.{number:06d}")
    os.replace(partial, backup)
    sync_folder(backup.parent)
    for oldest in [*before, backup][:-MOST_KEPT]:
        oldest.unlink(missing_ok=True)
    return backup
