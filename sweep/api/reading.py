"""A stored study by its name."""

from collections.abc import Callable

from sweep.options import StorageOptions
from sweep.results.stored_study import StoredStudy
from sweep.storage import database_url, read_study, set_aside_lines


def url_of(options: StorageOptions) -> str:
    """The database's URL."""
    return database_url(options.studies, options.storage)


def read_stored(name: str, options: StorageOptions, say: Callable[[str], None]) -> StoredStudy:
    """Read a study; the trials of other programs that are set aside are said.

    Raises:
        StudyError: There is no such study, or its database is not usable.
    """
    study = read_study(url_of(options), name)
    for line in set_aside_lines(name, study.get_trials(deepcopy=False)):
        say(line)
    return StoredStudy(study)
