"""Trials of a study -> config files, each with every value and where it came from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from sweep.config.file import Provenance, write_config
from sweep.config.study_settings import SETTINGS
from sweep.config.trial import TrialConfig
from sweep.errors import InputError
from sweep.metrics import TIMING
from sweep.pareto import best_first
from sweep.results.confirmation import Confirmation
from sweep.results.stored_study import StoredStudy
from sweep.storage.stored_trials import code_digest, epochs, section

COPIED = (  # of the study's settings
    "seed", "engine", "num_lanes", "threads", "device", "keras_backend", "onednn", "data_hash", "versions", "command",
)  # fmt: skip


def export_trials(stored: StoredStudy, numbers: Sequence[int], top: int, folder: Path) -> list[Path]:
    """Write `trial-00017.toml`, ... for the named trials, else the `top` best COMPLETE ones; returns the paths.

    Of several objectives these are the first of the Pareto front. InputError for a study of a function.
    """
    if "function" in section(section(stored.study.user_attrs, SETTINGS), "space"):
        name = stored.name
        raise InputError(f"study {name} is of a function, there is no config to export; use `sweep show {name} TRIAL`")
    chosen = [_named(stored, number) for number in numbers] or best_trials(stored, top)
    paths = []
    for trial in chosen:
        config, provenance = trial_config(stored, trial)
        paths.append(folder / f"trial-{trial.number:05d}.toml")
        write_config(paths[-1], config, provenance)
    return paths


def best_trials(stored: StoredStudy, top: int) -> list[FrozenTrial]:
    """The best COMPLETE trials: those that were confirmed by their rank there, then as `ranked_trials`.

    InputError if there is none.
    """
    confirmation = stored.confirmation
    places = {one.trial: place for place, one in enumerate(confirmation.ranking if confirmation else ())}
    ordered = ranked_trials(stored)
    return sorted(ordered, key=lambda trial: places.get(trial.number, len(places)))[:top]


def ranked_trials(stored: StoredStudy) -> list[FrozenTrial]:
    """COMPLETE trials that sweep trained by score, ties by number; of several objectives, the Pareto-optimal ones.

    InputError if there is none.
    """
    ranked = best_first([trial for trial in stored.trials if _is_trained(trial)], stored.study.directions)
    if not ranked:
        raise InputError(f"study {stored.name} has no COMPLETE trial to export; `sweep show {stored.name}`")
    return ranked


def _is_trained(trial: FrozenTrial) -> bool:
    """By sweep: what other programs added has no config."""
    seed, history = trial.user_attrs.get("seed"), epochs(trial)
    return isinstance(seed, int) and bool(history) and all("epoch" in epoch for epoch in history)


def trial_config(stored: StoredStudy, trial: FrozenTrial) -> tuple[TrialConfig, Provenance]:
    """The config that the trial trained, and its provenance. InputError if the trial was not trained by sweep."""
    history = epochs(trial)
    if not isinstance(stored.study.user_attrs.get(SETTINGS), dict) or not _is_trained(trial) or not trial.values:
        raise InputError(f"trial {trial.number} of {stored.name} has no score of a training by sweep; name another")
    space, settings = stored.space, stored.settings
    config = space.resolve(trial.params, trial.user_attrs["seed"])
    scores = dict(zip(space.metrics, trial.values, strict=True))
    metric, score, best_epoch = _to_verify(trial, scores, history, space.plan.num_runs)
    provenance = Provenance(
        study=stored.name,
        trial=trial.number,
        state=trial.state.name,
        metric=metric,
        score=score,
        scores=scores,
        **asdict(space.plan),
        num_runs=len(trial.intermediate_values) if space.plan.num_runs > 1 else 1,
        num_epochs=len(history),
        best_epoch=best_epoch,
        params=trial.params,
        widest=[[*widths] for widths in space.widest()] if settings.engine == "packed" else [],
        **{key: getattr(settings, key) for key in COPIED},
        code=replace(settings.code, digest=code_digest(trial)).values() if settings.code is not None else {},
        **_confirmed(stored.confirmation, trial.number),
    )
    return config, provenance


def _confirmed(confirmation: Confirmation | None, number: int) -> dict[str, Any]:
    for rank, one in enumerate(confirmation.ranking if confirmation else (), start=1):
        if one.trial == number:
            return {"confirmed_rank": rank, "confirmed_mean": one.mean, "confirmed_num_seeds": len(one.scores)}
    return {}


def _to_verify(
    trial: FrozenTrial, scores: Mapping[str, float], history: Sequence[dict[str, Any]], num_runs: int
) -> tuple[str, float, int]:
    """What `--verify` repeats, as no timing can be: a metric, its score, and the epoch that gave it (of one run)."""
    exact = [metric for metric in scores if metric != TIMING]
    if num_runs > 1:
        if not exact:
            raise InputError(f"trial {trial.number} has a timing of several runs alone, which nothing repeats")
        return exact[0], scores[exact[0]], int(history[-1]["epoch"])
    kept = [epoch for epoch in history if all(epoch[metric] == scores[metric] for metric in exact)]
    metric, best = [*exact, "val_accuracy"][0], max(kept, key=lambda epoch: int(epoch["epoch"]))
    return metric, best[metric], int(best["epoch"])


def _named(stored: StoredStudy, number: int) -> FrozenTrial:
    named = next((trial for trial in stored.trials if trial.number == number), None)
    if named is None:
        raise InputError(f"study {stored.name} has no trial {number}; it has 0 to {len(stored.trials) - 1}")
    return named
