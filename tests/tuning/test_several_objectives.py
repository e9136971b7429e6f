"""Studies of several objectives: told, resumed, guarded, shown and exported by all their values."""

import csv
import io
import json
import random
import sqlite3
import statistics
import subprocess
import sys
from contextlib import closing

import optuna
import pytest
from optuna.trial import TrialState
from sweeps import DyingExecutor, Killed, make_space, open_in, read_trials, request, run_sweep

from sweep.cli.dashboard_server import create_app
from sweep.cli.parser import main
from sweep.engines.base import EpochRecord
from sweep.engines.fake import FakeEngine
from sweep.engines.function import FunctionEngine
from sweep.errors import SpaceError, StudyError
from sweep.executors.in_process import InProcessExecutor
from sweep.pareto import metric_names, pareto_front
from sweep.results.report import make_page
from sweep.space.file import parse_space, stored_space
from sweep.storage import database_url, list_studies, read_study
from sweep.tuning.pruners import build_pruner
from sweep.tuning.samplers import sampler_factory

METRICS = ["val_accuracy", "loss"]  # of the fake engine the one falls as the other rises:
BOTH = ["maximize", "maximize"]  # so this is a trade-off
X = {"type": "float", "low": -3.0, "high": 3.0}
TIMED_COMMANDS = """
from sweep.cli.parser import main
codes = [
    main(["run", "timed.toml", "--trials", "2"]),
    main(["export", "mine", "--trial", "1"]),
    main(["retrain", "studies/mine/configs/trial-00001.toml", "--verify"]),
]
print(codes)
"""
SPACE = """
[study]
name = "mine"
metrics = ["val_accuracy", "loss"]
directions = ["maximize", "maximize"]
num_trials = 12

[training]
epochs = 4

[space.l2]
key = "regularizer.l2"
type = "float"
low = 1e-6
high = 1e-2
log = true

[space.units]
key = "model.dense_units"
type = "categorical"
choices = [8, 16, 32]
"""


def two_space(sampler="random", **study):
    return make_space(sampler, study={"name": "study", "metrics": METRICS, "directions": BOTH, **study})


@pytest.fixture
def swept(folder, capsys):
    assert main(["run", "space.toml", "--engine", "fake", "--quiet"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("num_objectives", [2, 3])
def test_the_pareto_front_is_optunas(num_objectives):
    chooser = random.Random(num_objectives)
    directions = chooser.choices(["minimize", "maximize"], k=num_objectives)
    study = optuna.create_study(directions=directions)
    for number in range(150):
        values = [float(chooser.randint(0, 12)) for _ in directions]  # many are equal
        state = TrialState.COMPLETE if number % 5 else TrialState.FAIL
        study.add_trial(optuna.create_trial(state=state, values=values if number % 5 else None))
    front = pareto_front(study.trials, study.directions)
    assert {trial.number for trial in front} == {trial.number for trial in study.best_trials}
    firsts = [trial.values[0] for trial in front]
    assert firsts == sorted(firsts, reverse=directions[0] == "maximize")
    assert 1 < len(front) < 60


def run_killed(folder, space, num_trials, num_lanes, make_engine, life):
    """Kill at random rounds until the study is done."""
    chooser, num_kills = random.Random(3), 0
    while True:
        try:
            run_sweep(folder, space, num_trials, num_lanes, DyingExecutor(num_lanes, life(chooser), make_engine()))
            return num_kills
        except Killed:
            num_kills += 1


@pytest.mark.slow
@pytest.mark.parametrize("num_lanes", [pytest.param(1, marks=pytest.mark.exhaustive), 4])
@pytest.mark.parametrize("sampler", ["random", "tpe", "nsgaii"])
def test_a_killed_study_of_two_objectives_equals_the_unbroken_one(tmp_path, sampler, num_lanes):
    space, num_trials = two_space(sampler), 24 if num_lanes == 1 else 48
    run_sweep(tmp_path / "unbroken", space, num_trials, num_lanes)
    engine = lambda: FakeEngine(num_lanes)  # noqa: E731
    assert run_killed(tmp_path / "killed", space, num_trials, num_lanes, engine, lambda one: one.randint(10, 14)) >= 2
    trials = read_trials(tmp_path / "killed")
    assert trials == read_trials(tmp_path / "unbroken")
    assert all(trial["values"] == [trial["history"][-1][metric] for metric in METRICS] for trial in trials)
    assert all(len(trial["intermediate_values"]) == 9 for trial in trials)


@pytest.mark.slow
def test_a_killed_study_of_a_function_of_two_values_equals_the_unbroken_one(tmp_path):
    study = {"name": "study", "function": "own_functions:two", "directions": ["minimize", "minimize"]}
    content = {"study": study, "sampler": {"name": "tpe"}, "space": {"x": X, "y": X}}
    space = parse_space(content, "space.toml")
    run_sweep(tmp_path / "unbroken", space, 20, 2, InProcessExecutor(FunctionEngine(2)))
    engine = lambda: FunctionEngine(2)  # noqa: E731
    assert run_killed(tmp_path / "killed", space, 20, 2, engine, lambda one: one.randint(1, 4)) >= 2
    trials = read_trials(tmp_path / "killed")
    assert trials == read_trials(tmp_path / "unbroken")
    for trial in trials:
        x, y = trial["params"]["x"], trial["params"]["y"]
        assert trial["values"] == [x**2 + y**2, (x - 2) ** 2 + y**2]
        assert trial["history"] == [{"epoch": 1, "values_0": trial["values"][0], "values_1": trial["values"][1]}]
    page = make_page([read_study(database_url(tmp_path / "killed"), "study")])
    assert "<h2>Hyperparameter importances: values_1</h2>" in page


class StoppingEngine(FakeEngine):
    """The second of three epochs is kept, the first one is slow."""

    def train_epoch(self, lanes=None):
        ((lane, (config, epoch)),) = self._runs.items()
        self._runs[lane] = (config, epoch + 1)
        score, seconds, is_last = [0.5, 0.9, 0.8][epoch], [60.0, 1.0, 3.0][epoch], epoch == 2
        best = 2 if is_last else 0
        logs = {"loss": 1.0, "accuracy": score, "val_loss": 1.0, "val_accuracy": score}
        return {lane: EpochRecord(epoch + 1, logs, seconds, is_last, best)}


def test_seconds_are_the_median_of_the_epochs_and_the_score_is_of_the_kept_weights(tmp_path):
    space = make_space(study={"name": "study", "metrics": ["val_accuracy", "seconds"]})
    assert space.directions == ("maximize", "minimize")
    run_sweep(tmp_path, space, 1, executor=InProcessExecutor(StoppingEngine()))
    (trial,) = read_trials(tmp_path)
    assert trial["values"] == [0.9, statistics.median([60.0, 1.0, 3.0])]
    assert trial["intermediate_values"] == {0: 0.5, 1: 0.9, 2: 0.8}


CHANGES = {
    "first value": "UPDATE trial_values SET value = value + 1e-12 WHERE trial_id = 5 AND objective = 0",
    "second value": "UPDATE trial_values SET value = value + 1e-12 WHERE trial_id = 5 AND objective = 1",
    "lost value": "DELETE FROM trial_values WHERE trial_id = 5 AND objective = 1",
    "exchanged": "UPDATE trial_values SET objective = 2 - 3 * objective WHERE trial_id = 5",
    "direction": "UPDATE study_directions SET direction = 'MINIMIZE' WHERE objective = 1",
}


@pytest.mark.parametrize("what", CHANGES)
def test_another_digit_in_any_value_is_noticed(tmp_path, what):
    run_sweep(tmp_path, two_space(), 6).write_behind.close()
    with closing(sqlite3.connect(tmp_path / "sweep.db")) as database, database:
        database.execute("DROP TRIGGER IF EXISTS sweep_finished_trials_stay")
        assert database.execute(CHANGES[what]).rowcount > 0
    for read in (lambda url: read_study(url, "study"), list_studies, lambda _: open_in(tmp_path, two_space())):
        with pytest.raises(StudyError, match="changed since the sweep wrote it"):
            read(database_url(tmp_path))


def test_other_objectives_are_another_study(tmp_path):
    run_sweep(tmp_path, two_space(), 2)
    others = [
        two_space(directions=["maximize", "minimize"]),
        two_space(metrics=["val_accuracy", "val_loss"]),
        make_space(),
    ]
    for other in others:
        with pytest.raises(StudyError, match=r"space\.(metrics|directions) was .*, now"):
            open_in(tmp_path, other)


def test_objectives_may_change_while_nothing_was_tried_but_not_their_directions(tmp_path):
    open_in(tmp_path, two_space())
    open_in(tmp_path, two_space(metrics=["val_loss", "loss"]))
    study = read_study(database_url(tmp_path), "study")
    assert metric_names(study.user_attrs, 2) == ["val_loss", "loss"]
    assert study.user_attrs["metric"] == "val_loss"
    with pytest.raises(StudyError, match="was"):
        open_in(tmp_path, make_space())


def test_a_study_of_one_objective_is_stored_as_before_there_were_several():
    record = make_space().record()
    assert {key: record[key] for key in record if key not in ("fixed", "space", "order")} == {
        "metric": "val_accuracy",
        "direction": "maximize",
    }
    assert stored_space("study", record).fingerprint == make_space().fingerprint
    assert make_space(study={"name": "study", "metrics": ["val_accuracy"]}).fingerprint == make_space().fingerprint
    two = json.loads(json.dumps(two_space().record()))
    assert stored_space("study", two).fingerprint == two_space().fingerprint


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ({"metric": "loss"}, "metric and metrics exclude each other; remove one"),
        ({"metrics": ["loss", "zzz"]}, 'metric "zzz" is not a metric'),
        ({"metrics": ["loss", "loss"]}, "a metric is given twice in metrics; remove one"),
        ({"metrics": []}, "study.metrics: "),
        ({"metrics": "loss"}, "study.metrics: "),
        ({"directions": ["maximize"]}, "directions: 1 for 2 of metrics; name one for each"),
        ({"direction": "maximize"}, "direction and directions exclude each other"),
        ({"directions": None, "direction": "maximize"}, "direction is for a single metric; use directions"),
        ({"directions": ["up", "down"]}, "study.directions.0: "),
    ],
)
def test_a_mistake_is_one_line(study, message):
    with pytest.raises(SpaceError, match=message) as error:
        two_space(**study)
    assert str(error.value).startswith("space.toml: study")
    assert "\n" not in str(error.value)


def test_what_optuna_cannot_do_for_several_objectives_is_refused_before_the_start():
    with pytest.raises(SpaceError, match=r"sampler\.name: cmaes takes one objective, not 2; use tpe, nsgaii or gp"):
        sampler_factory(two_space("cmaes"), 0)
    pruned = make_space("random", "median", study={"name": "study", "metrics": METRICS})
    with pytest.raises(SpaceError, match=r'pruner\.name: Optuna does not prune multi-objective studies; use "none"'):
        build_pruner(pruned)


def test_the_run_ends_with_the_pareto_optimal_trials(swept):
    trials = optuna.load_study(study_name="mine", storage="sqlite:///studies/sweep.db").best_trials
    assert f"Pareto-optimal: {len(trials)} of 12 COMPLETE trials" in swept
    assert "  trial " in swept
    assert main(["run", "space.toml", "--engine", "fake", "--quiet"]) == 0


def test_show_puts_the_pareto_optimal_first(folder, swept, capsys):
    space = SPACE.replace('directions = ["maximize", "maximize"]\n', "").replace('"mine"', '"agree"')
    (folder / "agree.toml").write_text(space)  # both metrics want the same: one trial is best
    assert main(["run", "agree.toml", "--engine", "fake", "--quiet"]) == 0
    capsys.readouterr()
    assert main(["show", "agree"]) == 0
    header, first, second = capsys.readouterr().out.splitlines()[1:4]
    best = optuna.load_study(study_name="agree", storage="sqlite:///studies/sweep.db").best_trials
    assert header.split()[:5] == ["trial", "state", "val_accuracy", "loss", "epochs"]
    assert first.split()[:2] == [str(best[0].number), "*"]
    assert "*" not in second
    assert main(["list"]) == 0
    assert "1 Pareto-optimal" in capsys.readouterr().out
    assert main(["list", "--json"]) == 0
    listed = {study["study"]: study for study in json.loads(capsys.readouterr().out)}
    assert (listed["agree"]["best_value"], listed["agree"]["num_best_trials"]) == (None, 1)
    assert listed["agree"]["directions"] == ["maximize", "minimize"]


def test_json_and_csv_have_all_values(swept, capsys):
    stored = optuna.load_study(study_name="mine", storage="sqlite:///studies/sweep.db")
    assert main(["show", "mine", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [trial["values"] for trial in record["trials"]] == [trial.values for trial in stored.trials]
    assert (record["metrics"], record["directions"]) == (METRICS, BOTH)
    assert record["pareto_optimal"] == sorted(trial.number for trial in stored.best_trials)
    assert main(["show", "mine", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [[float(row["values_0"]), float(row["values_1"])] for row in rows] == [one.values for one in stored.trials]
    assert main(["show", "mine", "3"]) == 0
    values = stored.trials[3].values
    assert f"COMPLETE, val_accuracy {values[0]:.6g}, loss {values[1]:.6g}" in capsys.readouterr().out
    assert main(["show", "mine", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["values"] == values


def test_export_writes_the_pareto_front(folder, swept, capsys):
    front = optuna.load_study(study_name="mine", storage="sqlite:///studies/sweep.db").best_trials
    front.sort(key=lambda trial: -trial.values[0])
    assert len(front) > 2
    assert main(["export", "mine", "--top", "2"]) == 0
    assert [line[-10:-5] for line in capsys.readouterr().out.splitlines()] == [f"{one.number:05}" for one in front[:2]]
    text = (folder / "studies" / "mine" / "configs" / f"trial-{front[0].number:05}.toml").read_text()
    assert f"[provenance.scores]\nval_accuracy = {front[0].values[0]!r}\nloss = {front[0].values[1]!r}" in text


def test_the_dashboard_shows_both_values(folder, swept):
    app = create_app(database_url(folder / "studies"), write=False)
    status, answer = request(app, "GET", "/api/studies/1?after=0")
    assert status == 200
    assert answer["directions"] == BOTH
    assert answer["objective_names"] == METRICS
    assert all(len(trial["values"]) == 2 for trial in answer["trials"])
    assert any(plot["id"] == "learning_curves" for plot in answer["plotly_graph_objects"])


def test_the_report_in_a_browser(folder, swept, browser):
    assert main(["report", "mine"]) == 0
    browser.get((folder / "studies" / "mine" / "report.html").as_uri())
    titles = browser.execute_script("return [...document.querySelectorAll('h2')].map(one => one.textContent)")
    assert titles[:3] == ["Space", "Pareto front", "Optimization history: val_accuracy"]
    assert "Hyperparameter importances: loss" in titles
    points = "return document.querySelector('#pareto-front .js-plotly-plot').data.map(trace => trace.x.length)"
    assert sum(browser.execute_script(points)) == 12
    section = browser.execute_script("return document.querySelector('#pareto-front').textContent")
    front = optuna.load_study(study_name="mine", storage="sqlite:///studies/sweep.db").best_trials
    assert f"{len(front)} of 12 COMPLETE" in section


def test_a_report_compares_studies_of_one_objective_alone(swept, capsys):
    assert main(["run", "space.toml", "--engine", "fake", "--quiet", "--study", "other", "--trials", "2"]) == 0
    capsys.readouterr()
    assert main(["report", "mine", "other"]) == 2
    error = capsys.readouterr().err
    assert "study mine has 2 objectives" in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_a_timing_is_taken_on_one_lane_and_verify_never_checks_it(folder):
    """Real training, in a process of its own: the automatic choice would be packed lanes."""
    text = SPACE.replace('["val_accuracy", "loss"]', '["seconds", "val_accuracy"]')
    text = text.replace('directions = ["maximize", "maximize"]', "").replace("epochs = 4", "epochs = 2")
    (folder / "timed.toml").write_text(text + "\n[data]\nnum_train = 100\nnum_validation = 100\n")
    result = subprocess.run(
        [sys.executable, "-c", TIMED_COMMANDS], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.stdout.splitlines()[-1] == "[0, 0, 0]", result.stdout + result.stderr
    assert "an objective is a timing" in result.stdout
    assert "minimize seconds, maximize val_accuracy" in result.stdout
    assert "val_accuracy after epoch 2: stored" in result.stdout


def test_a_timing_on_several_lanes_is_said_to_mislead(folder, capsys):
    (folder / "timed.toml").write_text(SPACE.replace('"loss"', '"seconds"'))
    assert main(["run", "timed.toml", "--engine", "fake", "--lanes", "3"]) == 0
    assert "--lanes 1 --workers 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--trials", "2"], "space: 6 points, 2 of them with --trials 2\n"),
        (["--trials", "6"], "space: 6 points\n"),
        (["--sampler", "random", "--trials", "2"], "space: 6 points, 2 of them with --trials 2\n"),
    ],
)
def test_the_size_of_a_discrete_space_is_said_before_it_starts(folder, capsys, flags, said):
    text = SPACE.replace("log = true", "step = 0.005").replace("[training]", '[sampler]\nname = "grid"\n[training]')
    (folder / "grid.toml").write_text(text)
    assert main(["run", "grid.toml", "--engine", "fake", *flags]) == 0
    assert said in capsys.readouterr().out


def test_the_size_of_a_continuous_space_is_not_said(swept):
    assert "points" not in swept
