"""Make a report of a study: one HTML page that works offline.

`data` reads the study once, `formatting` formats and escapes text, `samples` limits what is drawn. `summary`,
`confirmed`, `history`, `parameters`, `pareto`, `execution` and `compare` make the sections from `figures` (plotly) and
`tables` (pandas), and `page` combines them in one file with plotly.js inlined. Keras is never imported: all that is
shown is stored with the study.
"""

from collections.abc import Sequence
from pathlib import Path

import optuna

from sweep.errors import InputError
from sweep.results.report import compare, confirmed, execution, history, parameters, pareto, summary
from sweep.results.report.data import StudyData, read_data
from sweep.results.report.page import DOCTYPE, Section, render_page
from sweep.system.files import in_one_line, write_text

optuna.logging.set_verbosity(optuna.logging.ERROR)


def make_page(studies: Sequence[optuna.Study]) -> str:
    """Make the page of the first study, which the others are compared with.

    Args:
        studies: One or more studies; several must have a single objective each.

    Returns:
        The HTML.

    Raises:
        InputError: A multi-objective study would be compared.
    """
    data, *others = [read_data(study) for study in studies]
    multi = next((one for one in (data, *others) if len(one.metrics) > 1), None)
    if others and multi is not None:
        raise InputError(
            f"study {multi.name} has {len(multi.metrics)} objectives and cannot be compared; report {multi.name} alone"
        )
    page = render_page(f"Sweep report: {data.name}", summary.header(data), _sections(data, others))
    return page.encode(errors="backslashreplace").decode()  # stored strings may contain lone surrogates


def write_page(page: str, path: Path) -> None:
    """Write a page atomically, so that a browser that reloads it never reads half of it.

    Args:
        page: The HTML.
        path: Where to write it.

    Raises:
        InputError: The page cannot be written, or another kind of file (a database, a space file) is at the path.

    """
    with in_one_line(path):
        if path.is_file() and path.stat().st_size and not _is_page(path):
            raise InputError(f"{path}: exists and is not an HTML page; choose another name")
    write_text(path, page)


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(DOCTYPE)).lower() == DOCTYPE.encode()


def _sections(data: StudyData, others: Sequence[StudyData]) -> list[Section]:
    comparison = [compare.comparison([data, *others])] if others else []
    if not data.trials:
        return [summary.space(data), *comparison, summary.settings(data)]
    if len(data.metrics) > 1:
        return _multi_objective_sections(data)
    is_trained = data.has_epochs
    return [
        summary.space(data),
        *confirmed.sections(data),
        history.best_trials(data),
        *([history.best_trial(data)] if is_trained else []),
        *comparison,
        history.history(data),
        *([history.learning_curves(data)] if is_trained else []),
        *parameters.sections(data, others),
        *([execution.pruning(data)] if is_trained else []),
        execution.states(data),
        execution.time(data),
        summary.settings(data),
    ]


def _multi_objective_sections(data: StudyData) -> list[Section]:
    return [
        summary.space(data),
        pareto.front(data),
        *pareto.of_each_objective(data),
        *([history.learning_curves(data)] if data.has_epochs else []),
        execution.states(data),
        execution.time(data),
        summary.settings(data),
    ]
