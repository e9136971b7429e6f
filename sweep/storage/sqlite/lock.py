"""Lock a study for one process, by a lock file next to the database."""

from pathlib import Path
from typing import Self

from sweep.config.study_name import name_as_file
from sweep.errors import StudyError
from sweep.storage.sqlite.errors import study_error
from sweep.system.process_lock import ProcessLock


class FileLock(ProcessLock):
    """Lock a study by a hidden file next to its database."""

    def __init__(self, database: Path, study_name: str) -> None:
        path = database.with_name(f".{database.name}.{name_as_file(study_name)}.lock")
        super().__init__(path, lambda owner: _refusal(study_name, owner))

    def __enter__(self) -> Self:
        try:
            return super().__enter__()
        except OSError as error:
            raise study_error(self._path.parent, error) from None


def _refusal(study_name: str, owner: str) -> StudyError:
    return StudyError(
        f"study {study_name} is being swept by process {owner}; wait for it, stop it, or use another --study"
    )
