"""Trials of a study -> config files, each with every value and where it came from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from sweep.config import TrialConfig
from sweep.config_file import Provenance, write_config
from sweep.errors import InputError
from sweep.objective_section import TIMING
from sweep.search_space import stored_space
from sweep.several_objectives import losses, pareto_front
from sweep.study import SETTINGS


def export_trials(study: optuna.Study, numbers: Sequence[int], top: int, folder: Path) -> list[Path]:
    """Write `trial-00017.toml`, ... for the named trials, else the `top` best COMPLETE ones; returns the paths.

    Of several objectives these are the first of the Pareto front. InputError for a study of a function.
    """
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
    """The best COMPLETE trials, ties by number. InputError if there is none."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE and trial.values]
    if not complete:
        raise InputError(f"study {study.study_name} has no COMPLETE trial to export; `sweep show {study.study_name}`")
    if len(study.directions) > 1:
        return pareto_front(complete, study.directions)[:top]
    return sorted(complete, key=lambda trial: (losses(trial.values, study.directions), trial.number))[:top]


def trial_config(study: optuna.Study, trial: FrozenTrial) -> tuple[TrialConfig, Provenance]:
    """The config that the trial trained, and its provenance. InputError if the trial was not trained by sweep."""
    settings = study.user_attrs.get(SETTINGS)
    history: list[dict[str, Any]] = trial.user_attrs.get("history", [])
    if settings is None or "seed" not in trial.user_attrs or not history or not trial.values:
        raise InputError(
            f"trial {trial.number} of {study.study_name} has no score of a training by sweep; name another"
        )
    space = stored_space(study.study_name, settings)
    config = space.resolve(trial.params, trial.user_attrs["seed"])
    scores = dict(zip(space.metrics, trial.values, strict=True))
    exact = [metric for metric in scores if metric != TIMING]
    kept = [epoch for epoch in history if all(epoch[metric] == scores[metric] for metric in exact)]
    metric, best = [*exact, "val_accuracy"][0], max(kept, key=lambda epoch: int(epoch["epoch"]))
    copied = ("seed", "engine", "num_lanes", "threads", "device", "keras_backend", "data_hash", "versions", "command")
    provenance = Provenance(
        study=study.study_name,
        trial=trial.number,
        state=trial.state.name,
        metric=metric,
        score=best[metric],
        scores=scores,
        num_epochs=len(history),
        best_epoch=best["epoch"],
        params=trial.params,
        widest=[[*widths] for widths in space.widest()] if settings["engine"] == "packed" else [],
        **{key: settings[key] for key in copied},
    )
    return config, provenance


def _named(study: optuna.Study, trials: Sequence[FrozenTrial], number: int) -> FrozenTrial:
    if not 0 <= number < len(trials):
        raise InputError(f"study {study.study_name} has no trial {number}; it has 0 to {len(trials) - 1}")
    return trials[number]
