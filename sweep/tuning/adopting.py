"""Let a sweep resume a study that plain Optuna created."""

from sweep.config.study_settings import SETTINGS, StudySettings
from sweep.errors import StudyError
from sweep.space.space import Space
from sweep.storage import STUDY_ID, WriteBehindStorage, connect_reader
from sweep.tuning.dashboard_notes import rewrite_study_attrs


def is_there(url: str, name: str) -> bool:
    """Return whether the database has a study of this name."""
    try:
        connect_reader(url).get_study_id_from_name(name)
    except KeyError:
        return False
    return True


def adopt(storage: WriteBehindStorage, name: str, space: Space, settings: StudySettings) -> None:
    """Store the sweep's settings with a study of plain Optuna. Its trials are unchanged, as trials of another program.

    Args:
        storage: The study's storage.
        name: Name of the study.
        space: The space.
        settings: The settings to store.

    Raises:
        StudyError: The study has other directions than the space.
    """
    directions = [direction.name.lower() for direction in storage.get_study_directions(STUDY_ID)]
    if directions != [*space.directions]:
        raise StudyError(
            f"study {name} was made by another program with the directions {directions}, and {space.source} says "
            f"{[*space.directions]}; correct them, or use another --study"
        )
    storage.own_numbers.clear()  # trials of plain Optuna may have attributes with the names of the sweep's
    with storage.transaction():
        storage.set_study_user_attr(STUDY_ID, SETTINGS, settings.record())
        storage.set_study_user_attr(STUDY_ID, "metric", space.metrics[0])
        rewrite_study_attrs(storage, settings.record())
