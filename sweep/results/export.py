"""Export trials of a study as config files with all values and their provenance."""

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
    """Write a config file such as `trial-00017.toml` for each trial.

    Args:
        stored: The study.
        numbers: Numbers of the trials; if empty, the `top` best COMPLETE trials are exported.
        top: Number of trials; those of a multi-objective study are the first of its Pareto front.
        folder: Output folder.

    Returns:
        The paths of the files, in the order of the trials.

    Raises:
        InputError: There is no such trial, or the study is of a function and has no configs.
    """
    if "function" in section(section(stored.study.user_attrs, SETTINGS), "space"):
        name = stored.name
        raise InputError(f"study {name} is of a function and has no configs to export; use `sweep show {name} TRIAL`")
    chosen = [_trial_by_number(stored, number) for number in numbers] or best_trials(stored, top)
    paths = []
    for trial in chosen:
        config, provenance = trial_config(stored, trial)
        paths.append(folder / f"trial-{trial.number:05d}.toml")
        write_config(paths[-1], config, provenance)
    return paths


def best_trials(stored: StoredStudy, top: int) -> list[FrozenTrial]:
    """Return the best COMPLETE trials: confirmed ones by their confirmed rank, then the others as in `ranked_trials`.

    Args:
        stored: The study.
        top: Number of trials.

    Returns:
        At most `top` trials.

    Raises:
        InputError: No trial is COMPLETE.
    """
    confirmation = stored.confirmation
    ranks = {one.trial: rank for rank, one in enumerate(confirmation.ranking if confirmation else ())}
    ordered = ranked_trials(stored)
    return sorted(ordered, key=lambda trial: ranks.get(trial.number, len(ranks)))[:top]


def ranked_trials(stored: StoredStudy) -> list[FrozenTrial]:
    """Return the COMPLETE trials that `sweep run` trained, best score first, ties by number.

    Args:
        stored: The study.

    Returns:
        The trials; those of a multi-objective study are its Pareto-optimal ones.

    Raises:
        InputError: No trial is COMPLETE.
    """
    ranked = best_first([trial for trial in stored.trials if _is_trained(trial)], stored.study.directions)
    if not ranked:
        raise InputError(f"study {stored.name} has no COMPLETE trial to export; see `sweep show {stored.name}`")
    return ranked


def _is_trained(trial: FrozenTrial) -> bool:
    """Return whether `sweep run` trained the trial; those that other programs add have no config."""
    seed, history = trial.user_attrs.get("seed"), epochs(trial)
    return isinstance(seed, int) and bool(history) and all("epoch" in epoch for epoch in history)


def trial_config(stored: StoredStudy, trial: FrozenTrial) -> tuple[TrialConfig, Provenance]:
    """Return the config that a trial trained, and its provenance.

    Args:
        stored: The study.
        trial: A trial of the study.

    Returns:
        The config and its provenance.

    Raises:
        InputError: The trial was not trained by `sweep run`, or has no score.
    """
    history = epochs(trial)
    if not isinstance(stored.study.user_attrs.get(SETTINGS), dict) or not _is_trained(trial) or not trial.values:
        raise InputError(
            f"trial {trial.number} of {stored.name} has no score of a training by sweep; export another trial"
        )
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
        losses=[epoch["loss"] for epoch in history if "loss" in epoch],
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
    """Return the metric, score and epoch that `--verify` repeats; a timing is not repeatable."""
    exact = [metric for metric in scores if metric != TIMING]
    if num_runs > 1:
        if not exact:
            raise InputError(
                f"trial {trial.number} has only a timing of several runs, which cannot be verified; use another"
            )
        return exact[0], scores[exact[0]], int(history[-1]["epoch"])
    kept = [epoch for epoch in history if all(epoch[metric] == scores[metric] for metric in exact)]
    metric, best = [*exact, "val_accuracy"][0], max(kept, key=lambda epoch: int(epoch["epoch"]))
    return metric, best[metric], int(best["epoch"])


def _trial_by_number(stored: StoredStudy, number: int) -> FrozenTrial:
    trial = next((trial for trial in stored.trials if trial.number == number), None)
    if trial is None:
        raise InputError(f"study {stored.name} has no trial {number}; it has 0 to {len(stored.trials) - 1}")
    return trial
