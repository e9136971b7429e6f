"""Read a stored study by its name."""

from collections.abc import Callable

from sweep.options import StorageOptions
from sweep.results.stored_study import StoredStudy
from sweep.storage import database_url, read_study, set_aside_lines


def url_of(options: StorageOptions) -> str:
    """Return the database URL that the options select."""
    return database_url(options.studies, options.storage)


def read_stored(name: str, options: StorageOptions, say: Callable[[str], None]) -> StoredStudy:
    """Read a study.

    Args:
        name: The study's name.
        options: Where it is stored.
        say: Called with a line for each trial of another program that is set aside.

    Returns:
        The study.

    Raises:
        StudyError: There is no such study, or its database cannot be read.
    """
    study = read_study(url_of(options), name)
    for line in set_aside_lines(name, study.get_trials(deepcopy=False)):
        say(line)
    return StoredStudy(study)
