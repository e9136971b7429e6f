"""What the sweep wrote and another digit now stands in is refused; what others may do is no damage."""

import math
import sqlite3
from contextlib import closing

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState
from sweeps import DyingExecutor, FailingEngine, Killed, make_settings, make_space, open_in, read_trials, run_sweep

from sweep.errors import StudyError
from sweep.executors.in_process import InProcessExecutor
from sweep.storage import LiveStorage, database_url, list_studies, read_study
from sweep.storage.digest import TrialDigests, content_of, is_intact
from sweep.tuning.study import open_study, stored_settings

CHANGES = {  # what is changed -> by which statement; the study has a failed trial 2
    "score": "UPDATE trial_values SET value = value + 1e-12 WHERE trial_id = 5",
    "score to infinity": "UPDATE trial_values SET value = NULL, value_type = 'INF_POS' WHERE trial_id = 5",
    "state": "UPDATE trials SET state = 'PRUNED' WHERE trial_id = 5",
    "failure": "UPDATE trials SET state = 'COMPLETE' WHERE trial_id = 3",
    "number": "UPDATE trials SET number = number + 100 WHERE trial_id = 5",
    "parameter": "UPDATE trial_params SET param_value = param_value * 1.0000001 WHERE trial_id = 5",
    "range": "UPDATE trial_params SET distribution_json = replace(distribution_json, '0.9', '0.8') WHERE trial_id = 5",
    "reported value": "UPDATE trial_intermediate_values SET intermediate_value = 0.5 WHERE trial_id = 5 AND step = 2",
    "epoch": "UPDATE trial_intermediate_values SET step = 77 WHERE trial_id = 5 AND step = 2",
    "lost epoch": "DELETE FROM trial_intermediate_values WHERE trial_id = 5 AND step = 2",
    "seed": "UPDATE trial_user_attributes SET value_json = '7' WHERE trial_id = 5 AND key = 'seed'",
    "cause": "UPDATE trial_user_attributes SET value_json = '\"nan\"' WHERE trial_id = 3 AND key = 'cause'",
    "spoilt digest": "UPDATE trial_system_attributes SET value_json = '{' WHERE trial_id = 5 AND key = 'sweep:digest'",
    "not a text": "UPDATE trial_user_attributes SET value_json = x'ff' WHERE trial_id = 5 AND key = 'history'",
    "settings": "UPDATE study_user_attributes SET value_json = replace(value_json, '0.9', '0.8') WHERE key = 'sweep'",
    "direction": "UPDATE study_directions SET direction = 'MINIMIZE'",
}
SHOWN_BY_LIST = ("score", "score to infinity", "state", "failure", "number", "settings", "direction")


def change(folder, statement):
    with closing(sqlite3.connect(folder / "sweep.db")) as database, database:
        database.execute("DROP TRIGGER IF EXISTS sweep_finished_trials_stay")
        assert database.execute(statement).rowcount > 0


def sweep_with_a_failure(folder):
    study = run_sweep(folder, make_space(), 6, executor=InProcessExecutor(FailingEngine()))
    study.write_behind.close()
    return database_url(folder)


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_changed_is_shown_by_no_command_and_not_swept(tmp_path, what):
    url = sweep_with_a_failure(tmp_path)
    live = LiveStorage(url)
    change(tmp_path, CHANGES[what])
    with pytest.raises(StudyError, match="study study has been changed since the sweep wrote it"):
        read_study(url, "study")
    for _ in range(2):
        with pytest.raises(StudyError, match="changed since the sweep wrote it"):
            live.get_all_trials(live.get_study_id_from_name("study"))
    if what in SHOWN_BY_LIST:
        with pytest.raises(StudyError, match="changed since the sweep wrote it"):
            list_studies(url)
    with pytest.raises(StudyError, match="changed since the sweep wrote it"):
        open_in(tmp_path, make_space())


def test_message_names_file_trial_and_study(tmp_path):
    url = sweep_with_a_failure(tmp_path)
    change(tmp_path, CHANGES["score"])
    with pytest.raises(StudyError) as error:
        read_study(url, "study")
    assert f"{tmp_path / 'sweep.db'}: " in str(error.value)
    assert "trial 4 of study study has been changed since the sweep wrote it" in str(error.value)
    assert "no good backup of it in" in str(error.value)
    assert "\n" not in str(error.value)


def test_digest_is_the_same_from_memory_from_the_database_and_after_a_resume(tmp_path):
    space = make_space("cmaes", "hyperband")
    run_sweep(tmp_path, space, 10, num_lanes=2)
    memory = run_sweep(tmp_path, space, 14, num_lanes=2).trials
    database = optuna.load_study(study_name="study", storage=database_url(tmp_path)).trials
    stored = [trial.system_attrs["sweep:digest"] for trial in database]
    assert len({digest["run"] for digest in stored}) == len({digest["end"] for digest in stored}) == 14
    for trials in (memory, database):
        assert [TrialDigests().of(trial) for trial in trials] == stored
        contents = [content_of(trial) for trial in trials]
        assert [(c.run_hash(), c.end_hash()) for c in contents] == [(d["run"], d["end"]) for d in stored]


def test_values_that_sqlite_stores_otherwise_are_no_damage(tmp_path):
    study = open_in(tmp_path, make_space())
    for value in (-0.0, math.inf, -math.inf, 1e-320, 3):
        with study.write_behind.transaction():
            trial = study.ask_next()
            trial.set_user_attr("seed", 1)
            trial.set_user_attr("history", [{"loss": math.nan, "name": "Zürich \ud83d"}])
            trial.suggest_float("offset", -0.0, 0.0)
            trial.suggest_categorical("kind", [None, True, "ü"])
            for step, reported in enumerate((-0.0, math.nan, math.inf, -math.inf, 2)):
                trial.report(reported, step)
            study.tell_number(trial.number, TrialState.COMPLETE, value)
    assert len(read_study(database_url(tmp_path), "study").trials) == 5
    assert len(open_in(tmp_path, make_space()).trials) == 5


def die_after(folder, num_waits):
    with pytest.raises(Killed):
        run_sweep(folder, make_space(), 6, executor=DyingExecutor(1, num_waits))


@pytest.mark.parametrize("num_waits", [0, 4, 9])
def test_trial_that_runs_is_checked_too(tmp_path, num_waits):
    die_after(tmp_path, num_waits)
    read_study(database_url(tmp_path), "study")
    change(tmp_path, "UPDATE trial_params SET param_value = param_value + 0.001")
    with pytest.raises(StudyError, match="trial 0 of study study has been changed"):
        open_in(tmp_path, make_space())


def test_trial_told_by_another_program_while_nothing_runs_is_no_damage(tmp_path):
    die_after(tmp_path, 4)
    outside = optuna.load_study(study_name="study", storage=database_url(tmp_path))
    outside.tell(0, 0.75)
    assert read_study(database_url(tmp_path), "study").best_value == 0.75
    assert list_studies(database_url(tmp_path))[0].best_value == 0.75
    trials = run_sweep(tmp_path, make_space(), 6).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    read_study(database_url(tmp_path), "study")


def test_trial_told_by_another_program_while_the_sweep_runs_is_no_damage(tmp_path):
    study = open_in(tmp_path, make_space())
    with study.write_behind.transaction():
        study.ask_next().set_user_attr("seed", 1)
    optuna.load_study(study_name="study", storage=database_url(tmp_path)).tell(0, 0.75)
    with study.write_behind.transaction():
        pass
    assert read_study(database_url(tmp_path), "study").best_value == 0.75
    change(tmp_path, "UPDATE trial_values SET value = 0.8")  # what the sweep has seen told is told
    with pytest.raises(StudyError, match="trial 0 of study study has been changed"):
        list_studies(database_url(tmp_path))


def test_what_others_create_and_note_is_not_judged(tmp_path):
    url = sweep_with_a_failure(tmp_path)
    outside = optuna.load_study(study_name="study", storage=url)
    outside.add_trial(optuna.trial.create_trial(value=0.1))
    outside.set_user_attr("note", "mine")
    outside._storage.set_study_system_attr(outside._study_id, "dashboard:1:note_str:0", "mine")
    optuna.create_study(study_name="theirs", storage=url).add_trial(optuna.trial.create_trial(value=0.1))
    change(tmp_path, "UPDATE trial_values SET value = 0.2 WHERE value = 0.1")
    assert len(read_study(url, "study").trials) == 7
    assert read_study(url, "theirs").best_value == 0.2
    assert len(list_studies(url)) == 2
    assert len(run_sweep(tmp_path, make_space(), 9).trials) == 9


@pytest.mark.parametrize("before", ["rows", "code"])
def test_digest_is_of_the_code_and_one_from_before_that_is_not(before):
    """Before digests named their rows they were of all rows; later ones name those that they are of."""
    trial = optuna.trial.create_trial(value=0.5, user_attrs={"seed": 1, "code": "0123456789abcdef"})
    digest = TrialDigests().of(trial)
    changed = optuna.trial.create_trial(value=0.5, user_attrs={"seed": 1, "code": "x.py"})
    changed.system_attrs = {"sweep:digest": digest}
    assert not is_intact(content_of(changed))
    older = TrialDigests().of(optuna.trial.create_trial(value=0.5, user_attrs={"seed": 1}))
    changed.system_attrs = {"sweep:digest": {key: older[key] for key in older if (before, key) != ("rows", "rows")}}
    assert is_intact(content_of(changed))


def test_study_from_before_digests_is_read_and_gets_them_when_it_goes_on(tmp_path):
    url = sweep_with_a_failure(tmp_path)
    for table in ("study", "trial"):
        change(tmp_path, f"DELETE FROM {table}_system_attributes WHERE key = 'sweep:digest'")
    assert len(read_study(url, "study").trials) == 6
    run_sweep(tmp_path, make_space(), 7)
    change(tmp_path, CHANGES["score"])
    with pytest.raises(StudyError, match="trial 4 of study study has been changed"):
        read_study(url, "study")


def test_dashboard_reads_a_trial_as_of_one_moment_while_the_sweep_writes(tmp_path):
    """What it renames it copies: a trial of two moments would be a damaged one under the new name."""
    study = open_in(tmp_path, make_space())
    with study.write_behind.transaction():
        study.ask_next().set_user_attr("seed", 1)
    live, writes = LiveStorage(database_url(tmp_path), write=True), []

    @sqlalchemy.event.listens_for(live._backend.engine, "after_cursor_execute")
    def _write(_connection, _cursor, statement, *_):
        if "FROM trial_system_attributes" in statement or "FROM trial_intermediate_values" in statement:
            writes.append(statement)
            with study.write_behind.transaction():
                study.write_behind.set_trial_intermediate_value(0, len(writes), 0.5)

    (trial,) = live.get_all_trials(1)
    assert writes
    assert is_intact(content_of(trial))


@pytest.mark.slow
def test_study_renamed_in_the_dashboard_goes_on(tmp_path):
    url = sweep_with_a_failure(tmp_path)
    source = optuna.load_study(study_name="study", storage=url)
    renamed = optuna.create_study(study_name="renamed", storage=url, direction="maximize")
    renamed.add_trials(source.get_trials())  # as optuna-dashboard does
    for key, value in source.user_attrs.items():
        renamed.set_user_attr(key, value)
    optuna.delete_study(study_name="study", storage=url)
    before = read_trials(tmp_path, "renamed")
    assert [trial.number for trial in read_study(url, "renamed").trials] == list(range(6))
    space = make_space()
    study = open_study(url, "renamed", space, make_settings(space), stored_settings(url, "renamed"))
    with study.write_behind.transaction():
        study.ask_next().set_user_attr("seed", 1)
    assert read_trials(tmp_path, "renamed")[:6] == before
    read_study(url, "renamed")
