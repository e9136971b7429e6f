"""`sweep show STUDY TRIAL`, and what pandas makes of the CSV."""

import io
import json

import optuna
import pandas as pd
import pytest
from sweeps import NASTY, DyingExecutor, FailingEngine, Killed, make_space, run_sweep

from sweep.cli.parser import main
from sweep.executors.in_process import InProcessExecutor
from sweep.storage import database_url


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Nine trials: 2 fails with a traceback, some are pruned, 8 waits."""
    folder = tmp_path_factory.mktemp("studies")
    space = make_space(pruner="median")
    run_sweep(folder, space, 8, executor=InProcessExecutor(FailingEngine()))
    optuna.load_study(study_name="study", storage=database_url(folder)).enqueue_trial({"momentum": 0.5})
    return folder


@pytest.fixture
def show(studies, capsys):
    """What `sweep show study ...` prints."""

    def run(*arguments, folder=studies):
        assert main(["show", "study", *arguments, "--studies", str(folder)]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture(scope="module")
def study(studies):
    return optuna.load_study(study_name="study", storage=database_url(studies))


def test_one_trial_for_people(show, study):
    best, shown = study.best_trial, show(str(study.best_trial.number))
    assert f"trial {best.number}: COMPLETE, val_accuracy {best.value:.6g}, 9 epochs" in shown
    assert f"seed {best.user_attrs['seed']}" in shown
    rows = [line.split() for line in shown.splitlines()]
    assert ["momentum", str(best.params["momentum"]), "optimizer.momentum"] in rows
    assert ["num_convolutions", str(best.params["num_convolutions"]), "-"] in rows
    epoch = best.user_attrs["history"][-1]
    assert any(row[:2] == ["9", f"{epoch['loss']:.4g}"] for row in rows)


def test_a_failure_is_shown_with_cause_error_and_traceback(show):
    shown = show("2")
    assert "trial 2: FAIL, 0 epochs" in shown
    assert f"build_error: ValueError: {NASTY}" in shown
    assert "in admit\n" in shown


@pytest.mark.slow
def test_one_trial_for_programs(show, study):
    for trial in study.trials:
        record = json.loads(show(str(trial.number), "--json"))
        assert (record["number"], record["state"], record["value"]) == (trial.number, trial.state.name, trial.value)
        assert record["params"] == trial.params
        assert record["epochs"] == trial.user_attrs.get("history", [])
        assert {int(epoch): value for epoch, value in record["intermediate_values"].items()} == (
            {step + 1: value for step, value in trial.intermediate_values.items()}
        )
    assert set(json.loads(show("2", "--json"))["failure"]) == {
        *("cause", "error", "traceback"),
        *("attempt", "host", "peak_memory_mb"),
    }
    assert json.loads(show("8", "--json"))["enqueued_params"] == {"momentum": 0.5}
    assert 'enqueued: {"momentum": 0.5}' in show("8")


def test_epochs_of_one_trial_as_csv(show, study):
    best = study.best_trial
    epochs = pd.read_csv(io.StringIO(show(str(best.number), "--csv")), dtype=str).astype(float)  # exact in pandas 2 too
    assert epochs["intermediate_value"].tolist() == list(best.intermediate_values.values())
    assert epochs["val_loss"].tolist() == [epoch["val_loss"] for epoch in best.user_attrs["history"]]


def test_a_running_trial_shows_what_it_reported(show, tmp_path):
    with pytest.raises(Killed):
        run_sweep(tmp_path, make_space(), 1, executor=DyingExecutor(1, 4))
    shown = show("0", folder=tmp_path)
    assert "trial 0: RUNNING, 4 epochs" in shown
    assert "started 20" in shown


def test_unknown_trial_names_those_there_are(studies, capsys):
    assert main(["show", "study", "77", "--studies", str(studies)]) == 2
    assert capsys.readouterr().err == "sweep: study study has no trial 77; its trials are 0 to 8\n"


def test_a_study_of_plain_optuna_is_shown_too(show, tmp_path):
    study = optuna.create_study(study_name="study", storage=database_url(tmp_path))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    assert "trial 0: COMPLETE, value" in show("0", folder=tmp_path)


def test_csv_in_pandas_equals_optunas_dataframe(show, study):
    ours = pd.read_csv(io.StringIO(show("--csv")), parse_dates=["datetime_start", "datetime_complete"])
    columns = ["number", "value", "state", *(name for name in ours if name.startswith("params_"))]
    theirs = study.trials_dataframe(attrs=("number", "value", "state", "params"))
    pd.testing.assert_frame_equal(ours[columns], theirs[columns], check_dtype=False, rtol=1e-12)  # as pandas 2 reads
    trials = study.trials
    assert ours["datetime_start"].tolist()[:8] == [pd.Timestamp(trial.datetime_start) for trial in trials[:8]]
    assert ours.loc[2, ["cause", "error"]].tolist() == [trials[2].user_attrs[key] for key in ("cause", "error")]
    assert ours["seed"].tolist()[:8] == [trial.user_attrs["seed"] for trial in trials[:8]]


def test_a_diverged_trial_survives_pandas_and_strict_json(show, tmp_path):
    """pandas takes the word nan for a missing value unless told otherwise; the error is there in any case."""
    run_sweep(tmp_path, make_space(schedule={"initial_rate": 2.0}, space={}), 1)
    text = show("--csv", folder=tmp_path)
    assert pd.read_csv(io.StringIO(text), keep_default_na=False)["cause"].tolist() == ["nan"]
    assert pd.read_csv(io.StringIO(text))["error"].tolist() == ["the loss is not finite after epoch 1"]
    for arguments in (["--json"], ["0", "--json"]):
        assert json.loads(show(*arguments, folder=tmp_path), parse_constant=pytest.fail)
