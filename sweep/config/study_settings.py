"""`StudySettings`: what decides the trials of a study beside their numbers, as it is stored with the study."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from sweep.config.old_keys import changed_record, with_current_keys
from sweep.errors import StudyError
from sweep.plugins.user_code import UserCode, recorded_code

SETTINGS = "sweep"  # the user attribute of a study that holds them
SCHEMA = 3  # of the record; 1 did not say its number, 2 had earlier spellings of config keys
BEFORE = {"num_workers": 0, "onednn": None, "first_step": 1, "distinct": False}  # of a record that does not say
KEPT = ("first_step", "distinct")  # a study's own, whatever a newer version of sweep would choose
NOT_COMPARED = ("schema", "versions.", "command", "code", "classes.", "space.fixed.data.path")  # the data's hash is
MAX_SHOWN = 5


@dataclass(frozen=True)
class StudySettings:
    """The settings of a study; all but `code` are JSON values.

    Attributes:
        space: `Space.record()`.
        sampler: Name and options.
        pruner: Name and options.
        seed: Of sampling, weights and minibatches.
        data_hash: Over the content of the data; of several data sections joined by "+".
        engine: What trains.
        num_lanes: Of each process.
        threads: CPU threads of each process.
        device: "cpu", "gpu", or "none" for an engine without Keras.
        keras_backend: "tensorflow", "jax" or "none".
        num_workers: Worker processes; 0 trains in the launcher.
        classes: `ClassCounts.record()`; empty without data.
        onednn: Whether TensorFlow uses oneDNN; None as it decides by the CPU (studies from before it was recorded).
        versions: Of the packages.
        command: What the user typed.
        first_step: The step of a trial's first epoch, or of the first of several runs.
        distinct: Whether the trials of a finite space have a point each.
        code: The user's code at the latest start; each trial has the digest of its own.
    """

    space: dict[str, Any]
    sampler: dict[str, Any]
    pruner: dict[str, Any]
    seed: int
    data_hash: str
    engine: str
    num_lanes: int
    threads: int
    device: str
    keras_backend: str
    num_workers: int = 0
    classes: dict[str, Any] = field(default_factory=dict)
    onednn: bool | None = None
    versions: dict[str, str] = field(default_factory=dict)
    command: str = ""
    first_step: int = 0
    distinct: bool = True
    code: UserCode | None = None

    def record(self) -> dict[str, Any]:
        """Plain values, for the study's attribute."""
        return {"schema": SCHEMA, **asdict(self)}

    @classmethod
    def from_record(cls, record: Any, study_name: str) -> Self:
        """The settings of a stored record.

        Raises:
            StudyError: It is not a record of `sweep run`, or of a newer version.
        """
        if not isinstance(record, dict) or "space" not in record:
            raise StudyError(f"study {study_name} was not made by `sweep run`; use another --study")
        if record.get("schema", 1) > SCHEMA:
            raise StudyError(
                f"study {study_name} was made by a newer version of sweep (its settings have schema "
                f"{record['schema']}, this version reads up to {SCHEMA}); upgrade sweep"
            )
        known = {one.name for one in fields(cls)}
        values = {key: value for key, value in {**BEFORE, **record}.items() if key in known}
        values["space"] = _with_current_keys(values["space"], study_name)
        try:
            return cls(**{**values, "code": recorded_code(values.get("code"))})
        except TypeError as error:
            raise StudyError(f"study {study_name}: its settings are damaged ({error}); use another --study") from None

    @property
    def precision(self) -> str | None:
        """The fixed `training.precision`; None where it varies or is the default."""
        precision: str | None = self.space.get("fixed", {}).get("training", {}).get("precision")
        return precision

    def check_same(self, wanted: "StudySettings", study_name: str) -> None:
        """Raise StudyError, which shows the differences, unless a study with these settings can be resumed."""
        before, now = flat(self.record()), flat(wanted.record())
        compared = sorted(key for key in before.keys() | now.keys() if not key.startswith(NOT_COMPARED))
        different = [key for key in compared if before.get(key) != now.get(key)]
        if different:
            shown = "; ".join(
                f"{key} was {before.get(key, 'absent')}, now {now.get(key, 'absent')}" for key in different[:MAX_SHOWN]
            )
            more = f"; and {len(different) - MAX_SHOWN} more" if len(different) > MAX_SHOWN else ""
            reason = _why_hash_differs(self.data_hash, wanted.data_hash)
            raise StudyError(
                f"study {study_name} has other settings: {shown}{more}. {reason}Put them back, or use another --study"
            )


def read_settings(user_attrs: Mapping[str, Any], study_name: str) -> StudySettings:
    """The settings among a study's user attributes. StudyError if there are none, or they are not usable."""
    return StudySettings.from_record(user_attrs.get(SETTINGS), study_name)


def _with_current_keys(space: Any, study_name: str) -> Any:
    """Return a `Space.record` with config keys as they are spelled today; the study may be from before."""
    if not isinstance(space, dict) or not isinstance(space.get("fixed"), dict):
        return space
    return changed_record(space, lambda content: with_current_keys(content, f"study {study_name}"))


def _why_hash_differs(before: str, now: str) -> str:
    """Why the hash of data that was not changed is another one than that of a study made by an earlier version."""
    if now.startswith(f"{before}.classes"):
        return "Its labels have gaps, and an earlier version made a class of each number up to the largest. "
    if now.startswith(f"{before}.validation"):
        return "An earlier version did not read x_val, y_val of its file. "
    return ""


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested tables as one, with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[prefix + key] = list(value) if isinstance(value, tuple) else value
    return found
