"""Whatever another program writes into a study, no study of the file becomes unreadable and no sweep ends over it.

Each row of the tables is written into a study while it is swept and while it is not; then every command works on it and
on another study of the same file.
"""

import json
import sqlite3
from contextlib import closing

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from sweeps import make_settings, make_space, request

from sweep.cli.dashboard_server import create_app
from sweep.cli.parser import main
from sweep.cli.trial_tables import print_epochs_csv, print_trial, print_trial_json
from sweep.engines.fake import FakeEngine
from sweep.executors.in_process import InProcessExecutor
from sweep.results.confirm_plan import plan_confirmation
from sweep.results.stored_study import StoredStudy
from sweep.storage import WriteBehindStorage, database_url, list_studies, read_study
from sweep.storage.stored_trials import SET_ASIDE
from sweep.tuning.limits import Limits
from sweep.tuning.progress import QuietProgress
from sweep.tuning.study import open_study, stored_settings
from sweep.tuning.tuner import Tuner

NUM_TRIALS = 4
ADDED = NUM_TRIALS + 1  # the row id of what a program adds then: the other study has none yet
L2 = FloatDistribution(1e-6, 1e-2, log=True)


def add(**trial):
    return lambda study: study.add_trial(create_trial(**trial))


def enqueue(params, **attrs):
    return lambda study: study.enqueue_trial(params, **attrs)


def raw(*statements):
    """A COMPLETE trial of plain Optuna's, and then SQL."""

    def write(study):
        add(value=0.5, params={"l2": 1e-4}, distributions={"l2": L2}, intermediate_values={1: 0.5})(study)
        execute(study, *statements)

    return write


def execute(study, *statements):
    path = study._storage._backend.engine.url.database
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DROP TRIGGER IF EXISTS sweep_finished_trials_stay")
        database.execute("CREATE TEMP TABLE it AS SELECT max(trial_id) AS trial_id FROM trials WHERE study_id = 1")
        for statement in statements:
            assert database.execute(f"{statement}").rowcount > 0, statement


def other_kinds(**trial):
    """Params of ours with other distributions, which plain Optuna refuses unless it comes first."""
    distributions = {
        "x_momentum": CategoricalDistribution(["a", "b"]),
        "x_num_convolutions": FloatDistribution(0, 1),
        "x_filters_1": IntDistribution(0, 100),
    }
    params = {"x_momentum": "a", "x_num_convolutions": 0.5, "x_filters_1": 77}

    def write(study):
        add(params=params, distributions=distributions, **trial)(study)
        execute(study, f"UPDATE trial_params SET param_name = substr(param_name, 3) {IT}")

    return write


def tell_running(state, values):
    def tell(study):
        trial_id = study._storage.create_new_trial(study._study_id)
        study._storage.set_trial_state_values(trial_id, state, values)

    return tell


CATEGORY = json.dumps({"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b"]}})
INT = json.dumps({"name": "IntDistribution", "attributes": {"low": 1, "high": 2, "log": False, "step": 1}})
ATTR = "INSERT INTO trial_{}_attributes (trial_id, key, value_json) SELECT trial_id, '{}', '{}' FROM it"
IT = "WHERE trial_id = (SELECT trial_id FROM it)"
UNUSABLE = {  # what cannot be used
    "three values": tell_running(TrialState.COMPLETE, [0.0, 1.0, 2.0]),
    "no values": tell_running(TrialState.COMPLETE, []),
    "values are none": tell_running(TrialState.COMPLETE, None),
    "pruned with two values": tell_running(TrialState.PRUNED, [0.0, 1.0]),
    "value is NULL": raw(f"UPDATE trial_values SET value = NULL {IT}"),
    "value is a text": raw(f"UPDATE trial_values SET value = 'high' {IT}"),
    "value of an unknown kind": raw(f"UPDATE trial_values SET value_type = 'HUGE' {IT}"),
    "value of objective 7": raw(f"UPDATE trial_values SET objective = 7 {IT}"),
    "unknown state": raw(f"UPDATE trials SET state = 'STOPPED' {IT}"),
    "number is NULL": raw(f"UPDATE trials SET number = NULL {IT}"),
    "time is no time": raw(f"UPDATE trials SET datetime_start = 'yesterday' {IT}"),
    "category out of range": raw(f"UPDATE trial_params SET param_value = 17, distribution_json = '{CATEGORY}' {IT}"),
    "negative category": raw(f"UPDATE trial_params SET param_value = -1, distribution_json = '{CATEGORY}' {IT}"),
    "unknown distribution": raw(f'UPDATE trial_params SET distribution_json = \'{{"name": "Beta"}}\' {IT}'),
    "distribution is no JSON": raw(f"UPDATE trial_params SET distribution_json = '{{' {IT}"),
    "parameter is NULL": raw(f"UPDATE trial_params SET param_value = NULL {IT}"),
    "parameter without a name": raw(f"UPDATE trial_params SET param_name = NULL {IT}"),
    "state is no UTF-8": raw(f"UPDATE trials SET state = CAST(x'ff' AS TEXT) {IT}"),
    "time is no UTF-8": raw(f"UPDATE trials SET datetime_complete = CAST(x'ff' AS TEXT) {IT}"),
    "negative in a logarithm": raw(f"UPDATE trial_params SET param_value = -1 {IT}"),
    "enqueued a list": raw(
        f"UPDATE trials SET state = 'WAITING', datetime_complete = NULL {IT}",
        ATTR.format("system", "fixed_params", "[1]"),
    ),
    "constraints are a text": raw(ATTR.format("system", "constraints", '"x"')),
}
USED = {  # what is strange, and can be used or ends as a FAIL of its own
    "int with a fraction": enqueue({"num_convolutions": 1.5}),
    "infinite int": enqueue({"num_convolutions": float("inf")}),
    "not a number": enqueue({"momentum": float("nan")}),
    "text for a float": enqueue({"momentum": "high"}),
    "list for a category": enqueue({"filters_1": [8]}),
    "unknown category": enqueue({"filters_1": 9}),
    "out of range": enqueue({"momentum": 7.5, "num_convolutions": 40}),
    "below a logarithm": enqueue({"l2": -1.0}),
    "unknown parameters": enqueue({"colour": "red", "momentum": 0.5}),
    "our attributes": enqueue({"momentum": 0.5}, user_attrs={"seed": "x", "history": 7, "cause": [1], "error": None}),
    "waiting with other params": other_kinds(state=TrialState.WAITING),
    "other kinds of parameters": other_kinds(value=0.9),
    "other ranges": add(value=1e9, params={"momentum": 70.0}, distributions={"momentum": FloatDistribution(0, 100)}),
    "values too far apart to be drawn": raw(f"UPDATE trial_values SET value = -1.7e308 {IT}"),
    "name of a parameter is no UTF-8": raw(f"UPDATE trial_params SET param_name = CAST(x'ff' AS TEXT) {IT}"),
    "no params": add(value=float("inf")),
    "a seed and more": add(value=0.99, user_attrs={"seed": "mine", "history": "long", "peak_memory_mb": "much"}),
    "empty history": add(value=0.99, user_attrs={"seed": 3, "history": []}),
    "odd history": add(value=0.99, user_attrs={"seed": 3, "history": [{"epoch": "x", "loss": "y"}, 7, {}]}),
    "failed with a seed": add(state=TrialState.FAIL, user_attrs={"seed": 3, "cause": "mine", "attempt": {}}),
    "odd steps": add(value=0.1, intermediate_values={-5: 0.1, 0: float("nan"), 10**12: float("inf")}),
    "running with our seed": add(state=TrialState.RUNNING, user_attrs={"seed": 5}),
    "fail with values": tell_running(TrialState.FAIL, [0.5]),
    "fail with three values": tell_running(TrialState.FAIL, [0.5, 0.1, 0.2]),
    "running with values": tell_running(TrialState.RUNNING, [0.5, 0.7]),
    "attribute is no JSON": raw(ATTR.format("user", "note", "{")),
    "reported a text": raw(f"UPDATE trial_intermediate_values SET intermediate_value = 'x' {IT}"),
    "reported an unknown kind": raw(f"UPDATE trial_intermediate_values SET intermediate_value_type = 'HUGE' {IT}"),
    "no times": raw(f"UPDATE trials SET datetime_start = NULL, datetime_complete = NULL {IT}"),
    "enqueued in other JSON": raw(
        f"UPDATE trials SET state = 'WAITING', datetime_complete = NULL {IT}",
        f"DELETE FROM trial_values {IT}",
        ATTR.format("system", "fixed_params", '{"momentum":5e-1}'),
    ),
    "waiting, an int with a fraction in its row": raw(
        f"UPDATE trials SET state = 'WAITING', datetime_complete = NULL {IT}",
        f"DELETE FROM trial_values {IT}",
        "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)"
        f" SELECT trial_id, 'num_convolutions', 1.5, '{INT}' FROM it",
    ),
    "study attribute is no JSON": raw(
        "INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (1, 'x', '{')"
    ),
}


def sweep(folder, name, num_trials, write=None):
    """On the fake engine; `write` writes into the study once it is open."""
    space, url = make_space("tpe", "median"), database_url(folder)
    study = open_study(url, name, space, make_settings(space), stored_settings(url, name))
    if write is not None:
        write(outside(folder))
    Tuner(study, space, InProcessExecutor(FakeEngine()), Limits(num_trials), QuietProgress(), seed=0).run()
    study.write_behind.close()


def outside(folder, name="study"):
    return optuna.load_study(study_name=name, storage=database_url(folder))


def look(folder, name, capsys):
    """By every command that reads; what they printed."""
    at = ["--studies", str(folder)]
    for command in (["list"], ["list", "--json"], ["show", name], ["show", name, "--json"], ["show", name, "--csv"]):
        assert main([*command, *at]) == 0, capsys.readouterr().err
    assert main(["report", name, *at]) == 0, capsys.readouterr().err
    assert main(["export", name, "--top", "3", *at]) == 0, capsys.readouterr().err
    study = read_study(database_url(folder), name)
    assert len(plan_confirmation(StoredStudy(study), top=3, num_seeds=2).configs) == 3
    for trial in study.trials:
        for printer in (print_trial, print_trial_json, print_epochs_csv):
            printer(study, trial)
    return capsys.readouterr()


def check_dashboard(folder):
    app = create_app(database_url(folder), write=False)
    for study in request(app, "GET", "/api/studies")[1]["study_summaries"]:
        status, detail = request(app, "GET", f"/api/studies/{study['study_id']}")
        assert status == 200, detail


def check(folder, number, *, is_set_aside):
    """Read in each way; whether the new trial is set aside."""
    url = database_url(folder)
    trials = read_study(url, "study").trials
    assert len(list_studies(url)) == 2
    assert len(read_study(url, "other").trials) == 3
    storage = WriteBehindStorage(url, "study")
    with storage.transaction():
        pass
    storage.close()
    told = [(SET_ASIDE in trial.user_attrs, trial.state) for trial in (trials[number], storage.get_trial(number))]
    if is_set_aside:
        assert told == [(True, TrialState.FAIL)] * 2
    else:
        assert [aside for aside, _ in told] == [False, False]


@pytest.mark.exhaustive
@pytest.mark.parametrize("table", [UNUSABLE, USED], ids=["set aside", "used"])
def test_strange_rows_of_a_study_that_is_not_swept_stop_nothing(tmp_path, capsys, table):
    sweep(tmp_path, "study", NUM_TRIALS)
    sweep(tmp_path, "other", 3)
    for what, write in table.items():
        number = len(read_study(database_url(tmp_path), "study").trials)
        write(outside(tmp_path))
        try:
            check(tmp_path, number, is_set_aside=table is UNUSABLE)
        except Exception as error:
            error.add_note(what)
            raise
    sweep(tmp_path, "study", len(read_study(database_url(tmp_path), "study").trials) + 3)
    printed = look(tmp_path, "study", capsys)
    assert ("is set aside" in printed.err) == (table is UNUSABLE)
    check_dashboard(tmp_path)
    sweep(tmp_path, "other", 4)


@pytest.mark.slow
@pytest.mark.parametrize("table", [UNUSABLE, USED], ids=["set aside", "used"])
def test_strange_rows_of_a_study_that_is_swept_stop_nothing(tmp_path, capsys, table):
    """Adopted by an open study; what it stores then is no damage."""
    sweep(tmp_path, "study", 1)
    for number, (what, write) in enumerate(table.items()):
        try:
            sweep(tmp_path, "study", 3 * number + 3, write)
            read_study(database_url(tmp_path), "study")
        except Exception as error:
            error.add_note(what)
            raise
    states = [trial.state for trial in read_study(database_url(tmp_path), "study").trials]
    assert TrialState.WAITING not in states
    assert ("is set aside" in capsys.readouterr().err) == (table is UNUSABLE)


def by_hand(folder, *statements):
    """As `sqlite3 sweep.db` does it, which does not hold to foreign keys."""
    with closing(sqlite3.connect(folder / "sweep.db")) as database, database:
        for statement in statements:
            assert database.execute(statement).rowcount > 0, statement


def test_what_is_left_of_deleted_rows_belongs_to_no_new_study_or_trial(tmp_path):
    """SQLite gives the row id of the last one that was deleted to the next one."""
    sweep(tmp_path, "other", 2)
    sweep(tmp_path, "study", NUM_TRIALS)
    by_hand(tmp_path, "DELETE FROM trials WHERE study_id = 2 AND number = 3")
    sweep(tmp_path, "study", NUM_TRIALS)
    new, before = read_study(database_url(tmp_path), "study").trials[-1:-3:-1]
    assert new.intermediate_values.keys() == before.intermediate_values.keys()
    assert new._trial_id == 2 + NUM_TRIALS + 1
    by_hand(tmp_path, "DELETE FROM studies WHERE study_id = 2")
    assert [study.name for study in list_studies(database_url(tmp_path))] == ["other"]
    sweep(tmp_path, "third", 1)
    assert len(read_study(database_url(tmp_path), "third").trials) == 1


def test_trials_of_ours_that_plain_optuna_copies_with_other_values_are_no_damage(tmp_path):
    """They keep their attributes, the digest included, and in a new study their numbers."""
    sweep(tmp_path, "study", NUM_TRIALS)
    copied = optuna.create_study(study_name="copied", storage=database_url(tmp_path))
    for trial in outside(tmp_path).trials:
        trial.values = [-1.0]
        copied.add_trial(trial)
    assert [trial.value for trial in read_study(database_url(tmp_path), "copied").trials] == [-1.0] * NUM_TRIALS
    assert len(list_studies(database_url(tmp_path))) == 2


@pytest.mark.slow
def test_a_study_whose_name_is_no_text_hides_no_other(tmp_path, capsys):
    sweep(tmp_path, "study", NUM_TRIALS)
    for name in ("x'ff'", "CAST(x'ff' AS TEXT)"):
        optuna.create_study(study_name="x", storage=database_url(tmp_path))
        by_hand(tmp_path, f"UPDATE studies SET study_name = {name} WHERE study_name = 'x'")
    look(tmp_path, "study", capsys)


def test_a_study_without_directions_is_refused_in_a_line(tmp_path, capsys):
    sweep(tmp_path, "study", NUM_TRIALS)
    by_hand(tmp_path, "DELETE FROM study_directions")
    for command in ("show", "report"):
        assert main([command, "study", "--studies", str(tmp_path)]) == 2
        assert capsys.readouterr().err.startswith("sweep: ")


@pytest.mark.slow
def test_a_database_that_plain_optuna_was_killed_while_making_is_read(tmp_path, capsys):
    """It writes its version after the tables."""
    sweep(tmp_path, "study", NUM_TRIALS)
    by_hand(tmp_path, "DELETE FROM version_info", "DELETE FROM alembic_version")
    look(tmp_path, "study", capsys)
