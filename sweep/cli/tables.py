"""Print studies and their trials for `sweep list` and `sweep show`: as tables, JSON or CSV."""

import csv
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from sweep.pareto import losses, metric_names, only_value, pareto_front, shown, shown_mean, shown_scores
from sweep.results.confirmation import Confirmation, read_confirmation
from sweep.results.confirmation_table import COLUMNS, records, rows
from sweep.results.scoring import TrialScores
from sweep.storage.stored_trials import cause_and_error, reported
from sweep.storage.studies import StudySummary
from sweep.text import counted, make_console, print_as_json

MAX_ROWS = 30
CSV_COLUMNS = (
    *("number", "state", "epochs", "seconds"),  # the values follow the state
    *("datetime_start", "datetime_complete", "seed", "cause", "error"),
)


def print_studies(studies: Sequence[StudySummary], *, as_json: bool) -> None:
    """Print a row for each study: name, counts by state, best value, last change (local time).

    Args:
        studies: The studies.
        as_json: Print JSON instead of a table.
    """
    if as_json:
        print_as_json([_study_record(study) for study in studies])
        return
    table = Table("study", "trials", "complete", "pruned", "fail", "running", "best", "last change", box=None)
    for study in studies:
        counts = [str(study.num_trials[state]) for state in ("COMPLETE", "PRUNED", "FAIL", "RUNNING")]
        best = "-" if study.best_value is None else shown(study.best_value)
        if study.num_best_trials is not None:
            best = f"{study.num_best_trials} Pareto-optimal"
        last = "-" if study.last_activity is None else f"{_local(study.last_activity):%Y-%m-%d %H:%M}"
        table.add_row(Text(study.name), str(study.num_trials.total()), *counts, best, last)
    make_console().print(table)


def print_scores(study: optuna.Study, trials: Sequence[TrialScores]) -> None:
    """Print a row for each trial with its objectives and the metrics; of several runs mean and standard deviation.

    Args:
        study: The study.
        trials: Its trials with their metrics.
    """
    metrics, names = metric_names(study.user_attrs, len(study.directions)), [*trials[0].scores]
    table = Table("trial", *map(escape, metrics), *map(escape, names), box=None)
    for one in trials:
        scores = [shown_mean(one.scores[name]) for name in names]
        table.add_row(str(one.trial.number), *map(shown, one.trial.values or ()), *scores)
    make_console().print(table)


def print_scores_json(study: optuna.Study, trials: Sequence[TrialScores]) -> None:
    """Print the same as JSON, with the metrics of each run.

    Args:
        study: The study.
        trials: Its trials with their metrics.
    """
    records = [{"number": one.trial.number, "values": one.trial.values, "scores": one.scores} for one in trials]
    print_as_json({"study": study.study_name, "trials": records})


def print_table(study: optuna.Study) -> None:
    """Print the best trials, then the failed ones with their causes.

    In a multi-objective study the Pareto-optimal trials are marked.
    """
    trials = study.get_trials(deepcopy=False)
    counts = {state.name: sum(trial.state == state for trial in trials) for state in TrialState}
    print(f"{study.study_name}: {len(trials)} trials ({', '.join(f'{n} {s}' for s, n in counts.items() if n)})")
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    metrics = metric_names(study.user_attrs, len(study.directions))
    table = Table("trial", "state", *map(escape, metrics), "epochs", *map(escape, names), box=None)
    front = _front(study, trials)
    for trial in sort_trials(study, trials)[:MAX_ROWS]:
        params = [Text(_short(trial.params.get(name, "-"))) for name in names]
        values = shown_scores(trial) or ["-"] * len(metrics)
        number = f"{trial.number} *" if trial.number in front else str(trial.number)
        table.add_row(number, trial.state.name, *values, str(len(trial.intermediate_values)), *params)
    console = make_console()
    console.print(table)
    if len(trials) > MAX_ROWS:
        print(f"the best {MAX_ROWS} of {len(trials)} trials; --csv and --json print all")
    if front:
        print(f"* Pareto-optimal: {len(front)}; no other trial is at least as good in every metric and better in one")
    confirmation = read_confirmation(study.user_attrs)
    if confirmation is not None:
        print_confirmation(confirmation)
    for trial in trials:
        if trial.state == TrialState.FAIL:
            cause, error = cause_and_error(trial)
            console.print(Text(f"trial {trial.number} FAIL ({cause}): {error}"))


def sort_trials(study: optuna.Study, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Sort trials: COMPLETE best first, then PRUNED best first, then the rest by number.

    In a multi-objective study the Pareto-optimal trials precede the others of their state, ranked by the first
    objective.

    Args:
        study: Has the directions of the objectives.
        trials: Trials of the study.

    Returns:
        A new list.
    """
    front, order = _front(study, trials), {TrialState.COMPLETE: 0, TrialState.PRUNED: 1}

    def rank(trial: FrozenTrial) -> tuple[int, bool, tuple[float, ...], int]:
        values = losses(trial.values, study.directions) if trial.values else (0.0,)
        return order.get(trial.state, 2), trial.number not in front, values, trial.number

    return sorted(trials, key=rank)


def _front(study: optuna.Study, trials: Sequence[FrozenTrial]) -> set[int]:
    """Return the numbers of the Pareto-optimal trials; none for a single objective."""
    is_multi_objective = len(study.directions) > 1
    return {trial.number for trial in pareto_front(trials, study.directions)} if is_multi_objective else set()


def print_json(study: optuna.Study) -> None:
    """Print the study with every trial, its attributes and its epochs as JSON."""
    trials = study.get_trials(deepcopy=False)
    directions, confirmation = _direction_names(study.directions), read_confirmation(study.user_attrs)
    record = {
        "study": study.study_name,
        "direction": directions[0] if len(directions) == 1 else None,
        "directions": directions,
        "metrics": metric_names(study.user_attrs, len(directions)),
        "pareto_optimal": sorted(_front(study, trials)),
        "user_attrs": study.user_attrs,
        **({"confirmation": records(confirmation)} if confirmation is not None else {}),
    }
    print_as_json({**record, "trials": [_trial_record(trial) for trial in trials]})


def print_csv(study: optuna.Study) -> None:
    """Print a CSV row for each trial, by number, with the column names of Optuna's `trials_dataframe`."""
    trials = study.get_trials(deepcopy=False)
    names = list(dict.fromkeys(name for trial in trials for name in trial.params))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    num_values = len(study.directions)
    value_columns = [f"values_{number}" for number in range(num_values)] if num_values > 1 else ["value"]
    writer.writerow([*CSV_COLUMNS[:2], *value_columns, *CSV_COLUMNS[2:], *(f"params_{name}" for name in names)])
    for trial in trials:
        seconds = None if trial.duration is None else f"{trial.duration.total_seconds():.3f}"
        values = trial.values or [None] * num_values
        start = [trial.number, trial.state.name, *values, len(trial.intermediate_values), seconds]
        times = [_iso(trial.datetime_start), _iso(trial.datetime_complete)]
        failure = cause_and_error(trial) if trial.state == TrialState.FAIL else (None, None)
        attrs = [trial.user_attrs.get("seed"), *failure]
        writer.writerow(map(_without_formula, [*start, *times, *attrs, *(trial.params.get(name) for name in names)]))


def _without_formula(value: Any) -> Any:
    """Put an apostrophe before text that a spreadsheet would evaluate as a formula; JSON has it unchanged."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _study_record(study: StudySummary) -> dict[str, Any]:
    last = None if study.last_activity is None else _local(study.last_activity).isoformat()
    return {
        "study": study.name,
        "direction": _direction_names(study.directions)[0] if len(study.directions) == 1 else None,
        "directions": _direction_names(study.directions),
        "num_trials": study.num_trials,
        "best_value": study.best_value,
        "num_best_trials": study.num_best_trials,
        "last_activity": last,
    }


def _trial_record(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state.name,
        "value": only_value(trial),
        "values": trial.values,
        "params": trial.params,
        "datetime_start": _iso(trial.datetime_start),
        "datetime_complete": _iso(trial.datetime_complete),
        "intermediate_values": reported(trial),
        "user_attrs": trial.user_attrs,
    }


def _direction_names(directions: Sequence[optuna.study.StudyDirection]) -> list[str]:
    return [direction.name.lower() for direction in directions]


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _local(stored: datetime) -> datetime:
    """Convert the naive UTC time of the database to local time."""
    return stored.replace(tzinfo=UTC).astimezone()


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_confirmation(confirmation: Confirmation) -> None:
    """Print a row for each candidate, the ranked ones first, then the conclusions."""
    seeds = counted(len(confirmation.seeds), "new seed")
    print(f"confirmed with {seeds}, {confirmation.metric}:")
    table = Table(*COLUMNS, box=None)
    for row in rows(confirmation):
        table.add_row(*row)
    make_console().print(table)
    for line in confirmation.conclusions():
        print(line)
