"""A study that is swept: opened or resumed, its settings compared, asked and told with per-trial samplers.

The settings that decide what a trial is are stored with the study (user attribute `sweep`). The same command goes on
with the study; a difference is an error that shows it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from sweep.dashboard_notes import rewrite_study_attrs, study_attrs
from sweep.errors import StudyError
from sweep.history import MOST_BEST, RecentSampler, RecentStudy
from sweep.pruners import build_pruner
from sweep.samplers import MODELS_HISTORY, SamplerFactory, sampler_factory
from sweep.search_space import Space
from sweep.storage import (
    STUDY_ID,
    WriteBehindStorage,
    check_rows,
    check_study_name,
    connect_reader,
    create_database,
    create_study,
    reading,
)

optuna.logging.set_verbosity(optuna.logging.ERROR)  # what matters of it, our own progress says

SETTINGS = "sweep"
INFORMATIVE = ("versions.", "command", "space.fixed.data.path")  # stored, not compared: the data's hash is


@dataclass(frozen=True)
class Settings:
    """What decides the trials of a study beside their numbers; all JSON values."""

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
    versions: dict[str, str] = field(default_factory=dict)
    command: str = ""


class SweepStudy(optuna.Study):
    """An Optuna study on a `WriteBehindStorage`, whose sampler is made anew for each trial."""

    def __init__(
        self,
        storage: WriteBehindStorage,
        name: str,
        samplers: SamplerFactory,
        pruner: Any,
        *,
        models_history: bool = False,
    ) -> None:
        """`models_history` says that the sampler is better given a history that is bounded."""
        super().__init__(study_name=name, storage=storage, sampler=samplers(0), pruner=pruner)
        self.write_behind = storage
        self.ended_in_order = False  # the process before; its running trials are not to blame then
        self._samplers = samplers
        self._seen_by_sampler = RecentStudy(name, storage, MOST_BEST) if models_history else None
        self._seen_by_pruner = RecentStudy(name, storage, most_best=0)

    def frozen_trials(self, *states: TrialState) -> list[FrozenTrial]:
        """The trials in these states (all without any), not copied: do not change them."""
        return self.get_trials(deepcopy=False, states=states or None)

    def ask_next(self) -> optuna.Trial:
        """Ask with the sampler of the trial's number: an enqueued trial's own, else the next free one."""
        waiting = self.frozen_trials(TrialState.WAITING)
        self.sampler = self._sampler_of(waiting[0].number if waiting else self.write_behind.num_trials)
        return self.ask()

    def should_prune(self, number: int) -> bool:
        """What the pruner says of a running trial."""
        return self.pruner.prune(self._seen_by_pruner, self.write_behind.get_trial(number))

    def tell_number(self, number: int, state: TrialState, values: float | Sequence[float] | None = None) -> None:
        """Tell with the sampler of the trial's number."""
        self.sampler = self._sampler_of(number)
        self.tell(number, values, state=state)

    def _sampler_of(self, number: int) -> optuna.samplers.BaseSampler:
        sampler = self._samplers(number)
        return sampler if self._seen_by_sampler is None else RecentSampler(sampler, self._seen_by_sampler)

    def stop(self) -> None:
        """Grid and brute-force samplers call this when their points are used up; the tuner counts the points itself."""


def stored_settings(url: str, name: str) -> dict[str, Any] | None:
    """The settings of an existing study, None if there is no such study; StudyError if it is not ours."""
    create_database(url)
    check_rows(url, check_study_name(name), ends_only=True)
    reader = connect_reader(url)
    with reading(url):
        try:
            study_id = reader.get_study_id_from_name(name)
        except KeyError:
            return None
        stored = reader.get_study_user_attrs(study_id).get(SETTINGS)
    if stored is None:
        raise StudyError(f"study {name} was not made by `sweep run`; use another --study")
    return {"num_workers": 0, **stored}  # a study from before there were any


def open_study(url: str, name: str, space: Space, settings: Settings, stored: dict[str, Any] | None) -> SweepStudy:
    """Create the study, or go on with it if its `stored_settings` are the same. The caller holds its lock."""
    samplers, pruner = sampler_factory(space, settings.seed), build_pruner(space)
    if stored is None:
        directions = [StudyDirection[direction.upper()] for direction in space.directions]
        record = asdict(settings)
        create_study(url, name, directions, {SETTINGS: record, "metric": space.metrics[0]}, study_attrs(record))
    storage = WriteBehindStorage(url, name)
    if stored is not None and storage.num_trials == 0 and _directions(stored["space"]) == [*space.directions]:
        with storage.transaction():  # nothing was tried yet: the new settings are the study's
            storage.set_study_user_attr(STUDY_ID, SETTINGS, asdict(settings))
            storage.set_study_user_attr(STUDY_ID, "metric", space.metrics[0])
            rewrite_study_attrs(storage, asdict(settings))
    elif stored is not None:
        _compare(name, stored, asdict(settings))
    return SweepStudy(storage, name, samplers, pruner, models_history=space.sampler.name in MODELS_HISTORY)


def _directions(record: dict[str, Any]) -> list[str]:
    """Of a space's record; that of one objective has one key."""
    return list(record.get("directions", [record["direction"]]))


def _compare(name: str, stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    before, now = _flat(stored), _flat(wanted)
    compared = sorted(key for key in before.keys() | now.keys() if not key.startswith(INFORMATIVE))
    different = [key for key in compared if before.get(key) != now.get(key)]
    if different:
        shown = "; ".join(
            f"{key} was {before.get(key, 'absent')}, now {now.get(key, 'absent')}" for key in different[:5]
        )
        more = f"; and {len(different) - 5} more" if len(different) > 5 else ""
        raise StudyError(f"study {name} has other settings: {shown}{more}. Put them back, or use another --study")


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = list(value) if isinstance(value, tuple) else value
    return flat
