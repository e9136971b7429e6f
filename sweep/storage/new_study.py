"""Create a study in an existing database."""

from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Any

from optuna.study import StudyDirection

from sweep.storage import rows
from sweep.storage.database import backend_of
from sweep.storage.digest import DIGEST, MADE_BY_SWEEP, study_digest
from sweep.storage.writer import begin, driver_errors_converted, retry_while_locked


def create_study(
    url: str,
    study_name: str,
    directions: Sequence[StudyDirection],
    user_attrs: dict[str, Any],
    system_attrs: dict[str, Any] | None = None,
) -> None:
    """Create a study with its attributes in one transaction.

    Args:
        url: URL of the database.
        study_name: Name of the study.
        directions: The direction of each objective.
        user_attrs: The study's user attributes, values that JSON can represent.
        system_attrs: The study's system attributes. Default: none.

    Raises:
        StudyError: The database cannot be written.

    """
    seal = {DIGEST: study_digest(study_name, directions, user_attrs)} if MADE_BY_SWEEP in user_attrs else {}
    backend = backend_of(url)
    engine = backend.connect_writer()
    try:
        with (
            driver_errors_converted(backend),
            closing(retry_while_locked(partial(begin, engine), backend)) as connection,
        ):
            rows.insert_study(connection, study_name, directions, user_attrs, {**(system_attrs or {}), **seal})
            connection.commit()
    finally:
        engine.dispose()
