"""Names of studies: strict for those that are made, whatever there is for those that are read."""

import hashlib
import re
import unicodedata
from pathlib import Path

from sweep.errors import StudyError

STUDY_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
MAX_SLUG_LENGTH = 60  # of a folder's name, without the hash
MAX_NAME_LENGTH = 512  # characters of a study's name: Optuna's column


def check_study_name(name: str) -> str:
    """The name, or StudyError: the name of a new study is a name and never a path."""
    if not re.fullmatch(STUDY_NAME, name):
        raise StudyError(
            f'study name "{name}": use letters, digits, ".", "_" and "-", at most 100, beginning with a letter or digit'
        )
    return name


def name_as_file(name: str) -> str:
    """A name for files of the study: its own if `sweep run` could have made it, else a slug with a hash.

    >>> name_as_file("cnn_mnist"), name_as_file("../größer 2: ")
    ('cnn_mnist', 'groer-2-5c4a38bb')
    """
    if re.fullmatch(STUDY_NAME, name):
        return name
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub("[^A-Za-z0-9]+", "-", ascii_name).strip("-")[:MAX_SLUG_LENGTH] or "study"
    return f"{slug}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}"


def study_folder(studies: Path, name: str) -> Path:
    """Where a study's exported configs, report and models go unless another place is given."""
    return studies / name_as_file(name)
