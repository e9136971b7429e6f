"""`sweep report`: one page that is complete, escaped, offline and bounded, whatever the study holds."""

import html
import json
import math
import re
from datetime import datetime, timedelta

import optuna
import plotly.offline
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from sweeps import make_space, open_in, run_sweep

from sweep.cli.parser import main
from sweep.errors import Cause
from sweep.results.report import make_page, write_page
from sweep.results.report.compare import best_values
from sweep.results.report.data import num_epochs, read_data
from sweep.results.report.execution import saved_epochs
from sweep.results.report.formatting import plot_text
from sweep.results.report.samples import evenly_spaced, sample
from sweep.storage import create_database, database_url, read_study

HOSTILE = '</script><script>alert("x")</script><img src=http://evil.example/x onerror=alert(1)>%{x}&lt;'
NO_TEXT = "\udcff"  # a byte of a file's name that is not UTF-8
TITLES = (
    "Space",
    "Best trials",
    "Training curves of the best trial",
    "Optimization history",
    "Learning curves",
    "Hyperparameter importances",
    "Parallel coordinates",
    "Slice plots",
    "Contour plot",
    "Empirical distribution function (EDF)",
    "Pruning",
    "States and failures",
    "Time",
    "Settings",
)

CONFIRMABLE = (TITLES[0], "Confirmation", *TITLES[1:])  # of a sweep with a COMPLETE trial


class Page:
    """A page's text without the plotly library, and its figures."""

    def __init__(self, text):
        self.bytes = len(text.encode())
        assert text.count(plotly.offline.get_plotlyjs()) == 1
        self.text = text.replace(plotly.offline.get_plotlyjs(), "")
        found = re.findall(r'<script type="application/json">(.*?)</script>', self.text)
        self.figures = [json.loads(figure, parse_constant=pytest.fail) for figure in found]
        self.titles = [html.unescape(title) for title in re.findall(r"<h2>(.*?)</h2>", self.text)]
        self.prose = re.sub(r"<script.*?</script>", "", self.text, flags=re.DOTALL)

    def section(self, title):
        """One section's HTML without its figures' data."""
        return next(part for part in self.prose.split("<section")[1:] if f"<h2>{title}</h2>" in part)


def page_of(folder, *names):
    return Page(make_page([read_study(database_url(folder), name) for name in names or ("study",)]))


def plain_study(folder, name="plain", direction="maximize"):
    """A study that plain Optuna made in the same database."""
    create_database(database_url(folder))
    return optuna.create_study(study_name=name, storage=f"sqlite:///{folder / 'sweep.db'}", direction=direction)


def finish(study, value, params=None, distributions=None, state=TrialState.COMPLETE, steps=(), **user_attrs):
    """Add a finished trial to a plain study."""
    study.add_trial(
        create_trial(
            state=state,
            value=value,
            params=params or {},
            distributions=distributions or {},
            intermediate_values=dict(enumerate(steps, 1)),
            user_attrs=user_attrs,
        )
    )


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Thirty trials, some pruned, some failed."""
    folder = tmp_path_factory.mktemp("swept")
    space = make_space(pruner="median")
    study = run_sweep(folder, space, num_trials=26)
    for number, cause in enumerate((Cause.NAN, Cause.OUT_OF_MEMORY, Cause.OUT_OF_MEMORY, Cause.KILLED)):
        with study.write_behind.transaction():
            trial = study.ask_next()
            trial.set_user_attr("cause", cause.value)
            trial.set_user_attr("error", f"what went wrong {number}")
            study.tell_number(trial.number, TrialState.FAIL)
    return folder


def test_a_study_without_trials(tmp_path):
    open_in(tmp_path, make_space())
    page = page_of(tmp_path)
    assert "No trials yet" in page.prose
    assert page.titles == ["Space", "Settings"]
    assert page.figures == []


def test_a_study_of_one_trial(tmp_path):
    run_sweep(tmp_path, make_space(), num_trials=1)
    page = page_of(tmp_path)
    assert page.titles == list(CONFIRMABLE)
    assert "Importances need 10 COMPLETE trials; there are 1." in page.section("Hyperparameter importances")
    assert "Too few" in page.section("Slice plots")


def test_a_study_whose_only_trial_runs(tmp_path):
    study = open_in(tmp_path, make_space())
    with study.write_behind.transaction():
        study.ask_next()
    page = page_of(tmp_path)
    assert page.titles == list(TITLES)
    assert "No trial is COMPLETE yet." in page.section("Best trials")
    assert "No trial has finished yet." in page.section("Time")


@pytest.mark.slow
def test_thirty_trials(swept):
    page = page_of(swept)
    assert page.titles == list(CONFIRMABLE)
    data = read_data(read_study(database_url(swept), "study"))
    assert data.counts["PRUNED"] > 0
    assert f"{data.counts['PRUNED']} PRUNED, 4 FAIL" in page.prose
    assert f"<td>{data.complete[0].number}</td>" in page.section("Best trials")
    assert "optimizer.momentum" in page.section("Space")
    for cell in ("out_of_memory", "what went wrong 0", "what went wrong 3"):
        assert f"<td>{cell}</td>" in page.section("States and failures")
    assert len(page.figures) >= 3 + 2 + 2 + len(data.parameter_names) + 2 + 4


def test_epochs_saved_by_pruning(swept):
    data = read_data(read_study(database_url(swept), "study"))
    pruned = data.in_state("PRUNED")
    assert saved_epochs(data) == sum(9 - num_epochs(trial) for trial in pruned) > 0
    assert f"saved {saved_epochs(data)} epochs" in page_of(swept).section("Pruning")


def test_planned_epochs_that_vary():
    study = optuna.create_study()
    space = {"space": {"rounds": {"key": "training.epochs", "type": "int", "low": 2, "high": 9}}, "fixed": {}}
    study.set_user_attr("sweep", {"space": space})
    finish(study, None, {"rounds": 7}, {"rounds": IntDistribution(2, 9)}, TrialState.PRUNED, steps=(0.5, 0.6))
    assert saved_epochs(read_data(study)) == 5


def test_time_is_split_into_epochs_and_the_rest(tmp_path):
    study = plain_study(tmp_path)
    trial = create_trial(
        value=0.5, user_attrs={"history": [{"epoch": 1, "seconds": 2.5}, {"epoch": 2, "seconds": 3.5}]}
    )
    trial.datetime_complete = datetime(2026, 1, 1, 12)
    trial.datetime_start = trial.datetime_complete - timedelta(seconds=8)
    study.add_trial(trial)
    time = page_of(tmp_path, "plain").section("Time").replace("\N{NO-BREAK SPACE}", " ")
    assert "<td>8 s</td>" in time
    assert "<td>6 s</td>" in time
    assert "<td>75.0 %</td>" in time


def hostile_study(folder):
    """A study named `plain` in which everything that others may have named or written is hostile."""
    study = plain_study(folder)
    study.set_user_attr("metric", HOSTILE)
    settings = {"command": HOSTILE + NO_TEXT, "engine": HOSTILE, "data_hash": HOSTILE, "versions": {HOSTILE: HOSTILE}}
    parameter = {"key": HOSTILE, "type": HOSTILE, "choices": [HOSTILE], "when": {HOSTILE: [HOSTILE]}}
    space = {"space": {HOSTILE: parameter}, "fixed": {HOSTILE: {HOSTILE: HOSTILE}}}
    study.set_user_attr("sweep", {**settings, "space": space, "sampler": {"name": HOSTILE, "options": {HOSTILE: 1}}})
    choices = CategoricalDistribution([HOSTILE, HOSTILE + "2", True, None, 3])
    distributions = {HOSTILE: choices, HOSTILE + "0" * 99: FloatDistribution(0, 1)}
    for number in range(15):
        params = {HOSTILE: choices.choices[number % 5], HOSTILE + "0" * 99: number / 15}
        history = [{"epoch": HOSTILE, "loss": HOSTILE, "seconds": HOSTILE}]
        finish(study, number / 15, params, distributions, steps=(0.1,), history=history)
    finish(study, None, state=TrialState.FAIL, cause=HOSTILE, error=HOSTILE + NO_TEXT)


@pytest.mark.slow
def test_hostile_names_and_values_are_escaped(tmp_path):
    hostile_study(tmp_path)
    page = page_of(tmp_path, "plain")
    for raw in ("<script>alert", "<img", "</script><script>alert"):
        assert raw not in page.text
    for figure in page.figures:  # the line breaks are of Optuna's hover texts
        texts = [text for text in strings(figure) if "alert" in text or "img" in text]
        assert not [text for text in texts if "<" in text.replace("<br>", "") or "%{x}" in text]
    assert any("alert" in text for figure in page.figures for text in strings(figure))


def test_a_browser_runs_nothing_of_what_is_stored(tmp_path, browser):
    hostile_study(tmp_path)
    write_page(make_page([read_study(database_url(tmp_path), "plain")]), tmp_path / "report.html")
    browser.get((tmp_path / "report.html").as_uri())
    assert browser.execute_script("return document.querySelectorAll('.js-plotly-plot').length") > 3
    found = browser.execute_script("return [document.scripts.length, document.querySelectorAll('img, iframe').length]")
    num_data = browser.execute_script("return document.querySelectorAll('script[type=\"application/json\"]').length")
    assert found == [2 + num_data, 0]
    assert [entry for entry in browser.get_log("browser") if "Content Security Policy" in entry["message"]] == []


def test_hostile_names_of_metrics_are_escaped():
    study = optuna.create_study(directions=["minimize", "maximize"])
    study.set_user_attr("sweep", {"space": {"metrics": [HOSTILE, HOSTILE + NO_TEXT]}})
    for number in range(12):
        study.add_trial(create_trial(values=[number, number % 5], params={}, distributions={}))
    page = Page(make_page([study]))
    assert "<script>alert" not in page.text
    assert "<img" not in page.text
    for figure in page.figures:
        assert not [text for text in strings(figure) if "alert" in text and "<" in text.replace("<br>", "")]
    assert any("alert" in text for figure in page.figures for text in strings(figure))


def strings(value):
    """Every text in nested JSON, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from (key, *strings(one))
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


def test_labels_stay_different_where_they_are_cut():
    assert plot_text("a" * 100) != plot_text("a" * 101)
    assert plot_text("<b>%{x}</b>") == "&lt;b&gt;&#37;{x}&lt;/b&gt;"


@pytest.mark.slow
@pytest.mark.parametrize("stored", ["text", 3, None, [1, "two", None], [{"epoch": None, "loss": "x"}], {"epoch": 1}])
def test_attributes_of_other_programs(tmp_path, stored):
    study = plain_study(tmp_path, direction="minimize")
    for key in ("sweep", "metric", "elapsed_s"):
        study.set_user_attr(key, stored)
    for number in range(12):
        finish(study, math.inf if number == 3 else number, steps=(1.0, math.inf), history=stored, error=stored)
    page = page_of(tmp_path, "plain")
    assert page.titles == list(TITLES)


def test_the_page_loads_nothing(swept):
    page = page_of(swept)
    assert not re.search(r"\b(?:src|href)\s*=\s*(?!\"#)", page.text)
    assert not re.search(r"https?://|@import|url\(", page.text)
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page.text)[1]
    assert "default-src 'none'" in policy
    assert policy.count("sha256-") == 2
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]


@pytest.mark.slow
def test_several_studies_at_equal_budget(swept, capsys):
    study = plain_study(swept, "other")
    study.set_user_attr("metric", "val_accuracy")
    for value in (0.25, 0.5):
        finish(study, value, steps=(0.1, value))
    page = page_of(swept, "study", "other")
    comparison = page.section("Comparison at equal budget")
    assert "best after 2 trials" in comparison
    assert "best after 4 epochs" in comparison
    assert "other has another data hash than study" in comparison
    assert main(["report", "study", "other", "--studies", str(swept)]) == 0
    assert "report.html (" in capsys.readouterr().out


def test_best_after_a_budget(tmp_path):
    study = plain_study(tmp_path)
    for value, state, steps in (
        (0.5, TrialState.COMPLETE, (0.1, 0.5)),
        (None, TrialState.PRUNED, (0.9,)),
        (0.4, TrialState.COMPLETE, (0.2, 0.4)),
        (0.7, TrialState.COMPLETE, (0.2, 0.7)),
    ):
        finish(study, value, state=state, steps=steps)
    one = best_values(read_data(study))
    assert one.epochs == [2, 3, 5, 7]
    assert [one.after_trials(budget) for budget in (1, 3, 4)] == [0.5, 0.5, 0.7]
    assert math.isnan(one.after_epochs(1))
    assert [one.after_epochs(budget) for budget in (2, 6, 7)] == [0.5, 0.5, 0.7]


def test_a_sample_keeps_the_best():
    study = optuna.create_study(direction="maximize")
    for number in range(200):
        finish(study, float(number % 97))
    data = read_data(study)
    chosen = sample(data, data.complete, 20)
    assert len(chosen) == len({trial.number for trial in chosen}) == 20
    assert {trial.number for trial in data.complete[:5]} <= {trial.number for trial in chosen}
    assert data.complete[-1] in chosen
    assert evenly_spaced(list(range(100)), 5) == [0, 25, 50, 74, 99]


@pytest.mark.slow
def test_a_large_study_stays_small():
    """Names and errors at length too; every figure is bounded, and the page says where it shows a sample."""
    study = optuna.create_study(direction="maximize")
    distributions = {f"parameter_{i}": FloatDistribution(0, 1) for i in range(20)}
    history = [{"epoch": epoch, "loss": 1 / epoch, "val_loss": 1 / epoch, "seconds": 0.1} for epoch in range(1, 21)]
    trials = []
    for number in range(3000):
        params = {name: (number * 37 + i * 11) % 101 / 101 for i, name in enumerate(distributions)}
        steps = {epoch: 0.123456789 * epoch + number for epoch in range(1, 21)}
        state = TrialState.FAIL if number % 10 == 0 else TrialState.COMPLETE
        attrs = {"history": history, "error": "x" * 5000}
        value = float(number % 1009) if state == TrialState.COMPLETE else None
        trial = create_trial(state=state, value=value, params=params, distributions=distributions, user_attrs=attrs)
        trial.intermediate_values = steps
        trials.append(trial)
    study.add_trials(trials)
    page = Page(make_page([study]))
    assert page.bytes < 8e6
    assert page.prose.count("A sample: ") >= 6
    assert "The first 16 of 20 parameters." in page.prose


def test_the_command(swept, capsys, tmp_path):
    assert main(["report", "study", "--studies", str(swept)]) == 0
    assert str(swept / "study" / "report.html") in capsys.readouterr().out
    out = tmp_path / "deep" / "page.html"
    assert main(["report", "study", "--studies", str(swept), "--out", str(out)]) == 0
    assert out.read_text().startswith("<!doctype html>")
    assert [file.name for file in out.parent.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "no study named nowhere; there are: study"),
        (["../study"], "no study named ../study; there are: study"),
        (["study", "study"], "study study"),
        (["study", "--out", "."], ".: is not a file"),
        (["study", "--out", "/"], "/: is not a file"),
        (["study", "--out", f"{__file__}/page.html"], f"{__file__}/page.html: cannot be written"),
    ],
)
def test_wrong_input_is_one_line(swept, capsys, arguments, said):
    assert main(["report", *arguments, "--studies", str(swept)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_a_page_replaces_nothing_but_a_page(swept, tmp_path, capsys):
    """Least of all the database that it is of."""
    for content, code in (("", 0), ("<!DOCTYPE html><p>", 0), ("SQLite format 3", 2)):
        out = tmp_path / "out"
        out.write_text(content)
        assert main(["report", "study", "--studies", str(swept), "--out", str(out)]) == code
    assert out.read_text() == "SQLite format 3"
    assert "not an HTML page" in capsys.readouterr().err


def test_several_objectives_of_another_program(tmp_path):
    create_database(database_url(tmp_path))
    storage = f"sqlite:///{tmp_path / 'sweep.db'}"
    study = optuna.create_study(study_name="three", storage=storage, directions=["minimize", "maximize", "minimize"])
    assert page_of(tmp_path, "three").titles == ["Space", "Settings"]
    for number in range(12):
        values = [float(number), math.inf if number == 3 else float(number % 5), -float(number % 3)]
        params, distributions = {"x": number / 12}, {"x": FloatDistribution(0, 1)}
        study.add_trial(create_trial(values=values, params=params, distributions=distributions))
    study.add_trial(create_trial(state=TrialState.FAIL))
    page = page_of(tmp_path, "three")
    assert page.titles[:3] == ["Space", "Pareto front", "Optimization history: values_0"]
    assert page.titles[3:8:2] == [
        "Hyperparameter importances: values_0",
        "Optimization history: values_1",
        "Slice plots: values_1",
    ]
    assert "<td>0</td>" in page.section("Pareto front")
