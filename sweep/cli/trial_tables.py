"""Print all details of one trial, for `sweep show STUDY TRIAL`."""

import csv
import json
import sys
from itertools import chain, repeat
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.table import Table
from rich.text import Text

from sweep.errors import FAILURE_ATTRS, StudyError
from sweep.pareto import RUN_VALUES, deviations, metric_names, only_value, run_values, shown
from sweep.storage.stored_trials import EPOCH_KEYS, cause_and_error, epochs, further_metrics, reported, section
from sweep.text import make_console, print_as_json

SEPARATE_ATTRS = ("seed", "history", RUN_VALUES, *FAILURE_ATTRS)  # printed separately


def find_trial(study: optuna.Study, number: int) -> FrozenTrial:
    """Return a trial by its number.

    Args:
        study: The study.
        number: The trial's number.

    Returns:
        The trial; do not change it.

    Raises:
        StudyError: There is no such trial. The message states the numbers that exist.
    """
    trials = study.get_trials(deepcopy=False)
    for trial in trials:
        if trial.number == number:
            return trial
    existing = f"its trials are 0 to {max(trial.number for trial in trials)}" if trials else "it has no trials yet"
    raise StudyError(f"study {study.study_name} has no trial {number}; {existing}")


def trial_record(study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
    """Return all that is stored about a trial.

    Args:
        study: The trial's study.
        trial: The trial.

    Returns:
        JSON values by name. `epochs` is a list of the epochs stored, which is empty while the trial is running.
    """
    return {
        "study": study.study_name,
        "number": trial.number,
        "state": trial.state.name,
        "metrics": metric_names(study.user_attrs, len(study.directions)),
        "metric": study.user_attrs.get("metric", "value") if len(study.directions) == 1 else None,
        "value": only_value(trial),
        "values": trial.values,
        "run_values": run_values(trial),
        "std": deviations(trial),
        "params": trial.params,
        "keys": {name: key for name, key in param_keys(study).items() if name in trial.params},
        "seed": trial.user_attrs.get("seed"),
        "datetime_start": trial.datetime_start.isoformat() if trial.datetime_start else None,
        "datetime_complete": trial.datetime_complete.isoformat() if trial.datetime_complete else None,
        "seconds": trial.duration.total_seconds() if trial.duration else None,
        "intermediate_values": reported(trial),
        "epochs": epochs(trial),
        "failure": {key: trial.user_attrs[key] for key in FAILURE_ATTRS if key in trial.user_attrs},
        "enqueued_params": trial.system_attrs.get("fixed_params"),
        "user_attrs": {key: value for key, value in trial.user_attrs.items() if key not in SEPARATE_ATTRS},
    }


def param_keys(study: optuna.Study) -> dict[str, str | None]:
    """Map each parameter of a study to the config key that it sets.

    Args:
        study: The study.

    Returns:
        Config keys by parameter, None for a parameter that sets no key; empty for a study not made by `sweep run`.
    """
    parameters = section(section(section(study.user_attrs, "sweep"), "space"), "space")
    return {name: section(parameters, name).get("key") for name in parameters}


def print_trial(study: optuna.Study, trial: FrozenTrial) -> None:
    """Print state and value, params with their keys, epochs, and the failure."""
    record, console = trial_record(study, trial), make_console()
    spreads = [f" +- {shown(spread)}" for spread in deviations(trial)]
    scores = "".join(
        f", {metric} {value:.6g}{spread}"
        for metric, value, spread in zip(
            record["metrics"], trial.values or (), chain(spreads, repeat("")), strict=False
        )
    )
    print(
        f"{study.study_name} trial {trial.number}: {trial.state.name}{scores}, "
        f"{len(trial.intermediate_values)} {'runs' if _has_runs(record) else 'epochs'}"
    )
    print(_times(record) if record["seed"] is None else f"seed {record['seed']}; {_times(record)}")
    for name, attrs in (("enqueued", record["enqueued_params"]), ("attributes", record["user_attrs"])):
        if attrs:
            console.print(Text(f"{name}: {json.dumps(attrs, ensure_ascii=False)}"))
    if trial.params:
        console.print(_params_table(record))
    if trial.intermediate_values:
        console.print(_epochs_table(record))
    failure = record["failure"]
    if failure or trial.state == TrialState.FAIL:
        console.print(Text(": ".join(cause_and_error(trial)), style="red"))
        console.print(Text(_where(failure)))
        for text in (failure.get("traceback"), failure.get("log")):
            if text:
                console.print(Text(str(text).rstrip()), soft_wrap=True)


def _where(failure: dict[str, Any]) -> str:
    """Return text such as `attempt 2 on host, peak memory 912 MB`, without the values that are not stored."""
    parts = [f"attempt {failure['attempt']}"] if "attempt" in failure else []
    parts += [f"on {failure['host']}"] if "host" in failure else []
    peak = failure.get("peak_memory_mb")
    memory = [f"peak memory {peak:.0f} MB"] if isinstance(peak, int | float) else []
    return ", ".join([*([" ".join(parts)] if parts else []), *memory])


def print_trial_json(study: optuna.Study, trial: FrozenTrial) -> None:
    """Print the record of `trial_record` as JSON."""
    print_as_json(trial_record(study, trial))


def print_epochs_csv(study: optuna.Study, trial: FrozenTrial) -> None:
    """Print a CSV row for each epoch."""
    record = trial_record(study, trial)
    columns = [column for column in _columns(record) if column != "run" or _has_runs(record)]
    writer = csv.DictWriter(sys.stdout, ["intermediate_value", *columns], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(_epochs(record))


def _columns(record: dict[str, Any]) -> list[str]:
    return [*EPOCH_KEYS, *further_metrics(record["epochs"])]


def _times(record: dict[str, Any]) -> str:
    if record["seconds"] is None:
        start = record["datetime_start"]
        return f"started {start}" if start else "not started"
    return f"{record['datetime_start']} to {record['datetime_complete']}, {record['seconds']:.1f} s"


def _params_table(record: dict[str, Any]) -> Table:
    table = Table("param", "value", "key", box=None)
    for name, value in record["params"].items():
        table.add_row(Text(name), Text(str(value)), Text(str(record["keys"].get(name) or "-")))
    return table


def _epochs_table(record: dict[str, Any]) -> Table:
    epochs = _epochs(record)
    columns = [column for column in _columns(record) if any(column in epoch for epoch in epochs)]
    table = Table(*columns, "intermediate value", box=None)
    for epoch in epochs:
        table.add_row(*(Text(_short(epoch.get(column))) for column in (*columns, "intermediate_value")))
    return table


def _epochs(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the metrics of each epoch, with the value reported to Optuna as `intermediate_value`.

    A running trial has reported values only. A trial of several runs reports one score for each run, which is put at
    the run's last epoch.
    """
    if _has_runs(record):
        lasts = {epoch.get("run"): position for position, epoch in enumerate(record["epochs"])}
        scores = {lasts.get(run): score for run, score in record["intermediate_values"].items()}
        return [{**epoch, "intermediate_value": scores.get(i)} for i, epoch in enumerate(record["epochs"])]
    metrics = {epoch["epoch"]: epoch for epoch in record["epochs"] if isinstance(epoch.get("epoch"), int)}
    scores = record["intermediate_values"]
    return [
        {**metrics.get(epoch, {"epoch": epoch}), "intermediate_value": scores.get(epoch)}
        for epoch in sorted({*metrics, *scores})
    ]


def _has_runs(record: dict[str, Any]) -> bool:
    return any("run" in epoch for epoch in record["epochs"])


def _short(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
