"""Makes a study that plain Optuna created one that the sweep resumes."""

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
    """Make a study of plain Optuna one of the sweep's. Its trials stay as they are, and are of another program."""
    directions = [direction.name.lower() for direction in storage.get_study_directions(STUDY_ID)]
    if directions != [*space.directions]:
        raise StudyError(
            f"study {name} was made by another program with the directions {directions}, and {space.source} says "
            f"{[*space.directions]}; correct them, or use another --study"
        )
    storage.own_numbers.clear()  # they may have attributes of the same names
    with storage.transaction():
        storage.set_study_user_attr(STUDY_ID, SETTINGS, settings.record())
        storage.set_study_user_attr(STUDY_ID, "metric", space.metrics[0])
        rewrite_study_attrs(storage, settings.record())
