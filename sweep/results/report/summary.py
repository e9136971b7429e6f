"""Make the header of the page, and the sections on the study's space and settings."""

import math
from collections import Counter
from datetime import datetime
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from sweep.results.report.data import StudyData, num_epochs
from sweep.results.report.execution import saved_epochs
from sweep.results.report.figures import STATE_COLORS
from sweep.results.report.formatting import duration, html_text, paragraph, share, short
from sweep.results.report.page import Section
from sweep.results.report.tables import facts, table
from sweep.storage.stored_trials import code_digest, section
from sweep.text import counted

SPACE_COLUMNS = ("parameter", "key", "type", "range or choices", "scale", "condition")


def header(data: StudyData) -> str:
    """Make the header: name, objectives, states of the trials, and the most important numbers.

    Args:
        data: The study.

    Returns:
        The header as HTML.
    """
    goal = " and the ".join(f"{'highest' if one.maximize else 'lowest'} {one.metric}" for one in _objectives(data))
    when = f"{datetime.now().astimezone():%Y-%m-%d %H:%M %Z}"
    tiles = "".join(f'<div class="tile"><b>{html_text(big)}</b>{html_text(small)}</div>' for big, small in _tiles(data))
    return (
        f'<p class="kind">sweep report</p><h1>{html_text(data.name)}</h1>'
        f"<p>Objective: the {html_text(short(goal))}. {html_text(_states(data))} Created {when}.</p>"
        f'<div class="tiles">{tiles}</div>{facts(_main_facts(data))}'
    )


def _states(data: StudyData) -> str:
    counts = ", ".join(f"{data.counts[state]:,} {state}" for state in STATE_COLORS if data.counts[state])
    return f"{counted(len(data.trials), 'trial')}: {counts}." if data.trials else "No trials yet."


def _tiles(data: StudyData) -> list[tuple[str, str]]:
    return [
        _best_tile(data),
        (f"{len(data.finished):,}", "finished trials"),
        *(_epoch_tiles(data) if data.has_epochs else []),
        (duration(_elapsed_s(data)), "total time"),
    ]


def _epoch_tiles(data: StudyData) -> list[tuple[str, str]]:
    trained = sum(num_epochs(trial) for trial in data.trials)
    saved = saved_epochs(data)
    percent = f" ({share(saved, saved + trained)})" if saved else ""
    return [(f"{trained:,}", "epochs trained"), (f"{saved:,}", f"epochs saved by pruning{percent}")]


def _best_tile(data: StudyData) -> tuple[str, str]:
    """Return the best confirmed mean if there is one, else the best score, and what it is."""
    metric, ranking = short(data.metric, 40), data.confirmation.ranking if data.confirmation else []
    if ranking:
        interval = ranking[0].interval
        half = "" if math.isnan(interval.low) else f" ± {interval.high - interval.mean:.2g}"
        return f"{short(interval.mean)}{half}", f"confirmed {metric}, trial {ranking[0].trial}"
    if not data.complete:
        return "-", "no COMPLETE trial"
    if len(data.metrics) > 1:
        return f"{len(data.pareto_front):,}", "Pareto-optimal trials"
    best = data.complete[0]
    return short(data.shown_score(best)), f"best {metric}, trial {best.number}, not confirmed"


def _objectives(data: StudyData) -> list[StudyData]:
    return [data.of_objective(number) for number in range(len(data.metrics))]


def _elapsed_s(data: StudyData) -> float:
    """Return the stored time across resumes; for another program's study, from the first start to the last end."""
    stored = data.user_attrs.get("elapsed_s")
    if isinstance(stored, int | float):
        return float(stored)
    starts = [trial.datetime_start for trial in data.trials if trial.datetime_start]
    ends = [trial.datetime_complete for trial in data.trials if trial.datetime_complete]
    return (max(ends) - min(starts)).total_seconds() if starts and ends else 0.0


def space(data: StudyData) -> Section:
    """List the parameters and their ranges or choices.

    Args:
        data: The study.

    Returns:
        The section.
    """
    rows = _space_rows(data)
    return Section("Space", [table(SPACE_COLUMNS, rows) if rows else paragraph("No parameter varies.", "empty")])


def settings(data: StudyData) -> Section:
    """List all other settings that trials depend on.

    Args:
        data: The study.

    Returns:
        The section.
    """
    fixed = [(f"{part}.{key}", value) for part, values in _fixed(data).items() for key, value in values.items()]
    return Section(
        "Settings", [facts(_facts(data)), *(["<h3>Fixed in the space file</h3>", facts(fixed)] if fixed else [])]
    )


def _main_facts(data: StudyData) -> list[tuple[str, Any]]:
    stored, best = data.settings, data.winner if len(data.metrics) == 1 else None
    params = ", ".join(f"{name} {short(value)}" for name, value in best.params.items()) if best else ""
    return [
        ("best confirmed trial" if data.confirmation else "best trial", f"{best.number}: {params}" if best else None),
        ("command", stored.get("command") or (None if stored else "not a study of `sweep run`")),
        ("engine", _engine(stored)),
        ("data hash", stored.get("data_hash")),
        ("classes (training + validation images)", _classes(stored)),
    ]


def _engine(stored: dict[str, Any]) -> str:
    units = (("num_lanes", "lane"), ("threads", "thread"))
    counts = [counted(stored[key], what) for key, what in units if isinstance(stored.get(key), int)]
    names = [stored.get("engine"), *counts, stored.get("device"), stored.get("keras_backend")]
    return ", ".join(str(name) for name in names if name not in (None, "", "none"))


def _classes(stored: dict[str, Any]) -> str:
    """Format text such as `3: ant (114 + 29), ...; always predicting ant has val_accuracy 0.333`."""
    classes = section(stored, "classes")
    counts = [
        f"{name} ({' + '.join(map(str, pair))})"
        for name, pair in section(classes, "counts").items()
        if isinstance(pair, list)
    ]
    majority = section(classes, "majority").get("val_accuracy")
    parts = [f"{classes.get('num_classes')}: {', '.join(counts)}" if counts else str(classes.get("num_classes", ""))]
    if isinstance(majority, list) and len(majority) == 2:
        parts.append(f"always predicting {majority[0]} has val_accuracy {short(majority[1])}")
    return "; ".join(parts)


def _facts(data: StudyData) -> list[tuple[str, Any]]:
    stored = data.settings
    versions = ", ".join(f"{package} {version}" for package, version in section(stored, "versions").items())
    starts = [trial.datetime_start for trial in data.trials if trial.datetime_start]
    ends = [trial.datetime_complete for trial in data.trials if trial.datetime_complete]
    return [
        *(("metric", f"{one.metric}, {'maximize' if one.maximize else 'minimize'}") for one in _objectives(data)),
        ("runs per trial", _runs(stored)),
        ("sampler", _choice(stored, "sampler")),
        ("pruner", _choice(stored, "pruner")),
        ("seed", stored.get("seed")),
        ("start of first trial", f"{min(starts):%Y-%m-%d %H:%M}" if starts else None),
        ("end of last trial", f"{max(ends):%Y-%m-%d %H:%M}" if ends else None),
        ("versions", versions),
        ("your code", _user_code(data)),
    ]


def _user_code(data: StudyData) -> str:
    """Format name and folder of the user code, and the number of trials that each version of it trained."""
    code = section(data.settings, "code")
    digests = Counter(digest for trial in data.trials if (digest := code_digest(trial)))
    versions = ", ".join(f"{digest} ({counted(number, 'trial')})" for digest, number in digests.items())
    return f"{code.get('name')} in {code.get('place')}: {versions}" if code and versions else ""


def _runs(stored: dict[str, Any]) -> str:
    space, units = section(stored, "space"), (("repeats", "seeds"), ("cross_validation", "folds"))
    return ", ".join(f"{space[key]} {unit}" for key, unit in units if isinstance(space.get(key), int))


def _choice(stored: dict[str, Any], key: str) -> str:
    chosen = section(stored, key)
    options = ", ".join(f"{name}={value}" for name, value in section(chosen, "options").items())
    return f"{chosen.get('name', '')}{f' ({options})' if options else ''}"


def _fixed(data: StudyData) -> dict[str, dict[str, Any]]:
    fixed = section(section(data.settings, "space"), "fixed")
    return {part: values for part, values in fixed.items() if isinstance(values, dict)}


def _space_rows(data: StudyData) -> list[list[Any]]:
    stored = section(section(data.settings, "space"), "space")
    if stored:
        return [_stored_row(name, parameter) for name, parameter in stored.items() if isinstance(parameter, dict)]
    distributions = {name: one for trial in data.trials for name, one in trial.distributions.items()}
    return [_distribution_row(name, one) for name, one in distributions.items()]


def _stored_row(name: str, parameter: dict[str, Any]) -> list[Any]:
    choices = parameter.get("choices")
    values = f"{parameter.get('low')} … {parameter.get('high')}"
    if isinstance(choices, list):
        values = ", ".join(map(str, choices))
    step = f"step {parameter['step']}" if parameter.get("step") else ""
    scale = "log" if parameter.get("log") else step
    when = "; ".join(f"{other} in {choices}" for other, choices in section(parameter, "when").items())
    return [name, parameter.get("key"), parameter.get("type"), values, scale, when]


def _distribution_row(name: str, distribution: BaseDistribution) -> list[Any]:
    type_name = type(distribution).__name__.removesuffix("Distribution").lower()
    if isinstance(distribution, CategoricalDistribution):
        return [name, None, type_name, ", ".join(map(str, distribution.choices)), "", ""]
    return _stored_row(name, {**vars(distribution), "type": type_name})
