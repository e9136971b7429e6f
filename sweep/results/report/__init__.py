"""A study as one offline HTML page: `make_page`, `write_page`.

`data` reads the study once; `texts` escapes and words; `samples` bounds what is drawn; `summary`, `confirmed`,
`history`, `parameters`, `pareto`, `spent` and `compare` make the sections out of `figures` (plotly) and `tables`
(pandas); `page` puts them into one file with plotly.js inlined. Keras is never imported: what is shown was stored by
the sweep.
"""

from collections.abc import Sequence
from pathlib import Path

import optuna

from sweep.errors import InputError
from sweep.results.report import compare, confirmed, history, parameters, pareto, spent, summary
from sweep.results.report.data import StudyData, read_data
from sweep.results.report.page import DOCTYPE, Section, render_page
from sweep.system.files import in_one_line, write_text

optuna.logging.set_verbosity(optuna.logging.ERROR)


def make_page(studies: Sequence[optuna.Study]) -> str:
    """The page about the first study, which the others are compared with: InputError unless all have one objective."""
    data, *others = [read_data(study) for study in studies]
    several = next((one for one in (data, *others) if len(one.metrics) > 1), None)
    if others and several is not None:
        name, number = several.name, len(several.metrics)
        raise InputError(f"study {name} has {number} objectives, studies of one can be compared; report {name} alone")
    page = render_page(f"Sweep report: {data.name}", summary.header(data), _sections(data, others))
    return page.encode(errors="backslashreplace").decode()  # what is stored may be no text


def write_page(page: str, path: Path) -> None:
    """Put the page under its name at once: a browser that reloads meanwhile sees the old one or the new one.

    Raises:
        InputError: The page cannot be written, or what is there is no page (a database, a space file).

    """
    with in_one_line(path):
        if path.is_file() and path.stat().st_size and not _is_page(path):
            raise InputError(f"{path}: is there already, and is no page; choose another name")
    write_text(path, page)


def _is_page(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(DOCTYPE)).lower() == DOCTYPE.encode()


def _sections(data: StudyData, others: Sequence[StudyData]) -> list[Section]:
    comparison = [compare.comparison([data, *others])] if others else []
    if not data.trials:
        return [summary.space(data), *comparison, summary.settings(data)]
    if len(data.metrics) > 1:
        return _sections_of_several(data)
    is_trained = not data.is_function  # a function has no epochs to show
    return [
        summary.space(data),
        *confirmed.sections(data),
        history.best_trials(data),
        *([history.best_trial(data)] if is_trained else []),
        *comparison,
        history.history(data),
        *([history.learning_curves(data)] if is_trained else []),
        *parameters.sections(data, others),
        *([spent.pruning(data)] if is_trained else []),
        spent.states(data),
        spent.time(data),
        summary.settings(data),
    ]


def _sections_of_several(data: StudyData) -> list[Section]:
    return [
        summary.space(data),
        pareto.front(data),
        *pareto.of_each_objective(data),
        *([] if data.is_function else [history.learning_curves(data)]),
        spent.states(data),
        spent.time(data),
        summary.settings(data),
    ]
