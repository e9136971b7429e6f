"""Trials of a study -> config files, each with every value and where it came from."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from sweep.config import TrialConfig
from sweep.config_file import Provenance, write_config
from sweep.confirmation import read_confirmation
from sweep.errors import InputError
from sweep.search_space import stored_space
from sweep.study import SETTINGS


def export_trials(study: optuna.Study, numbers: Sequence[int], top: int, folder: Path) -> list[Path]:
    """Write `trial-00017.toml`, ... for the named trials, else the `top` best COMPLETE ones; returns the paths."""
    if "function" in study.user_attrs.get(SETTINGS, {}).get("space", {}):
        name = study.study_name
        raise InputError(f"study {name} is of a function, there is no config to export; use `sweep show {name} TRIAL`")
    trials = study.get_trials(deepcopy=False)
    chosen = [_named(study, trials, number) for number in numbers] or best_trials(study, trials, top)
    paths = []
    for trial in chosen:
        config, provenance = trial_config(study, trial)
        paths.append(folder / f"trial-{trial.number:05d}.toml")
        write_config(paths[-1], config, provenance)
    return paths


def best_trials(study: optuna.Study, trials: Sequence[FrozenTrial], top: int) -> list[FrozenTrial]:
    """The best COMPLETE trials: those that were confirmed by their rank there, then by score, ties by number.

    InputError if there is none.
    """
    confirmation = read_confirmation(study.user_attrs)
    places = {one.trial: place for place, one in enumerate(confirmation.ranking if confirmation else ())}
    ordered = ranked_trials(study, trials)
    return sorted(ordered, key=lambda trial: places.get(trial.number, len(places)))[:top]


def ranked_trials(study: optuna.Study, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """COMPLETE trials by score, ties by number. InputError if there is none."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE and trial.value is not None]
    if not complete:
        raise InputError(f"study {study.study_name} has no COMPLETE trial to export; `sweep show {study.study_name}`")
    sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
    return sorted(complete, key=lambda trial: (sign * (trial.value or 0.0), trial.number))


def trial_config(study: optuna.Study, trial: FrozenTrial) -> tuple[TrialConfig, Provenance]:
    """The config that the trial trained, and its provenance. InputError if the trial was not trained by sweep."""
    settings = study.user_attrs.get(SETTINGS)
    history: list[dict[str, Any]] = trial.user_attrs.get("history", [])
    if settings is None or "seed" not in trial.user_attrs or not history or trial.value is None:
        raise InputError(
            f"trial {trial.number} of {study.study_name} has no score of a training by sweep; name another"
        )
    space = stored_space(study.study_name, settings)
    config = space.resolve(trial.params, trial.user_attrs["seed"])
    metric = settings["space"]["metric"]
    copied = ("seed", "engine", "num_lanes", "threads", "device", "keras_backend", "data_hash", "versions", "command")
    provenance = Provenance(
        study=study.study_name,
        trial=trial.number,
        state=trial.state.name,
        metric=metric,
        score=trial.value,
        **asdict(space.plan),
        num_runs=len(trial.intermediate_values) if space.plan.num_runs > 1 else 1,
        num_epochs=len(history),
        best_epoch=_best_epoch(history, metric, trial.value) if space.plan.num_runs == 1 else history[-1]["epoch"],
        params=trial.params,
        widest=[[*widths] for widths in space.widest()] if settings["engine"] == "packed" else [],
        **{key: settings[key] for key in copied},
        **_confirmed(study, trial.number),
    )
    return config, provenance


def _confirmed(study: optuna.Study, number: int) -> dict[str, Any]:
    confirmation = read_confirmation(study.user_attrs)
    for rank, one in enumerate(confirmation.ranking if confirmation else (), start=1):
        if one.trial == number:
            mean, num_seeds = one.interval.mean, len(one.scores)
            return {"confirmed_rank": rank, "confirmed_mean": mean, "confirmed_num_seeds": num_seeds}
    return {}


def _best_epoch(history: Sequence[dict[str, Any]], metric: str, score: float) -> int:
    return max(int(epoch["epoch"]) for epoch in history if epoch[metric] == score)


def _named(study: optuna.Study, trials: Sequence[FrozenTrial], number: int) -> FrozenTrial:
    if not 0 <= number < len(trials):
        raise InputError(f"study {study.study_name} has no trial {number}; it has 0 to {len(trials) - 1}")
    return trials[number]
