"""Trials of several runs: repeats from several seeds, folds of cross-validation, their scores and their resume."""

import math
from statistics import fmean

import pytest
from sweeps import make_space, read_trials, run_sweep

from sweep.cli.parser import main
from sweep.config.data import DataConfig
from sweep.config.file import read_config
from sweep.data import load
from sweep.engines.fake import FakeEngine, fake_record
from sweep.errors import DataError, SpaceError
from sweep.executors.in_process import InProcessExecutor
from sweep.results.export import export_trials
from sweep.results.report import make_page
from sweep.results.stored_study import StoredStudy
from sweep.results.verify import verify
from sweep.space.file import parse_space
from sweep.space.runs import RunPlan
from sweep.tuning.objective import Objective
from tests.tuning.test_resume import run_with_kills

REPEATED = {"name": "study", "repeats": 3}
FOLDED = {"name": "study", "cross_validation": 3}
EPOCHS = 4


def scores_of(space, trial):
    """Of each run, as the fake engine gives them."""
    config = space.resolve(trial.params, trial.user_attrs["seed"])
    return [fake_record(run, EPOCHS).logs["val_accuracy"] for run in space.plan.runs(config)]


def test_runs_are_every_seed_on_every_fold():
    space = make_space(study={"name": "study", "repeats": 2, "cross_validation": 3})
    config = space.resolve({"l2": 0.1, "momentum": 0, "initial_rate": 0.1, "num_convolutions": 1, "filters_1": 8}, 5)
    runs = space.plan.runs(config)
    assert [run.data.fold for run in runs] == [1, 2, 3, 1, 2, 3]
    assert [run.training.seed == 5 for run in runs] == [True] * 3 + [False] * 3
    for run in runs:
        assert run.model_copy(update={"data": config.data, "training": config.training}) == config
    assert RunPlan().runs(config) == (config,)


@pytest.mark.parametrize("study", [REPEATED, FOLDED])
@pytest.mark.parametrize("num_lanes", [1, 4])
def test_the_mean_is_told_and_each_runs_score_reported(tmp_path, study, num_lanes):
    space = make_space(epochs=EPOCHS, study=study)
    swept = run_sweep(tmp_path, space, 6, num_lanes)
    for trial in swept.trials:
        scores = scores_of(space, trial)
        assert trial.intermediate_values == dict(enumerate(scores))
        assert trial.value == fmean(scores)
        epochs = [(epoch["run"], epoch["epoch"]) for epoch in trial.user_attrs["history"]]
        assert epochs == [(run, epoch) for run in (1, 2, 3) for epoch in range(1, EPOCHS + 1)]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("pruner", ["median", "wilcoxon"])
def test_a_trial_that_is_worse_in_its_first_runs_is_pruned_between_runs(tmp_path, pruner):
    space = make_space("random", pruner, EPOCHS, study={"name": "study", "repeats": 6})
    swept = run_sweep(tmp_path, space, 20)
    pruned = [trial for trial in swept.trials if trial.state.name == "PRUNED"]
    assert pruned
    for trial in pruned:
        assert 1 <= len(trial.intermediate_values) < 6
        assert len(trial.user_attrs["history"]) == EPOCHS * len(trial.intermediate_values)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "tpe"])
@pytest.mark.parametrize("num_lanes", [1, 4])
def test_killed_study_of_several_runs_equals_the_unbroken_one(tmp_path, sampler, num_lanes):
    space = make_space(sampler, "median", epochs=3, study=REPEATED)
    run_sweep(tmp_path / "unbroken", space, 30, num_lanes)
    assert run_with_kills(tmp_path / "killed", space, 30, num_lanes, seed=1) >= 3
    assert read_trials(tmp_path / "killed") == read_trials(tmp_path / "unbroken")


def test_a_run_that_diverges_fails_the_trial(tmp_path):
    class DivergesOnSecondFold(FakeEngine):
        def train_epoch(self, lanes=None):
            outcomes = super().train_epoch(lanes)
            if self._runs[0][0].data.fold == 2:
                outcomes[0].logs["loss"] = math.nan
            return outcomes

    from sweep.executors.in_process import InProcessExecutor

    space = make_space(epochs=EPOCHS, study=FOLDED)
    swept = run_sweep(tmp_path, space, 1, 1, InProcessExecutor(DivergesOnSecondFold()))
    assert swept.trials[0].state.name == "FAIL"
    assert swept.trials[0].user_attrs["cause"] == "nan"
    assert len(swept.trials[0].user_attrs["history"]) == EPOCHS + 1


@pytest.mark.parametrize("study", [REPEATED, FOLDED])
def test_an_exported_trial_is_verified_over_all_its_runs(tmp_path, study):
    swept = run_sweep(tmp_path, make_space("random", "median", epochs=EPOCHS, study=study), 20)
    pruned = next(trial.number for trial in swept.trials if trial.state.name == "PRUNED")
    for path in [
        *export_trials(StoredStudy(swept), [], 1, tmp_path),
        *export_trials(StoredStudy(swept), [pruned], 1, tmp_path),
    ]:
        config, provenance = read_config(path)
        assert (config.data.fold, provenance.num_runs <= 3) == (None, True)
        found = verify(config, provenance, InProcessExecutor(FakeEngine()), 0.0, say=lambda _: None)
        assert found.repeated == swept.trials[provenance.trial].value


def test_report_and_show_tell_runs_from_epochs(tmp_path, capsys):
    swept = run_sweep(tmp_path, make_space("random", "median", epochs=EPOCHS, study=FOLDED), 20)
    page = make_page([swept])
    assert "3 folds" in page
    pruned = [trial for trial in swept.trials if trial.state.name == "PRUNED"]
    saved = sum((3 - len(trial.intermediate_values)) * EPOCHS for trial in pruned)
    assert f"saved {saved} epochs" in page
    best = swept.best_trial
    assert main(["show", "study", str(best.number), "--csv", "--studies", str(tmp_path)]) == 0
    rows = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    assert rows[0][:3] == ["intermediate_value", "run", "epoch"]
    assert [row[1:3] for row in rows[1:]] == [[str(run), str(epoch)] for run in (1, 2, 3) for epoch in range(1, 5)]
    reported = [float(row[0]) for row in rows[1:] if row[0]]
    assert reported == [*best.intermediate_values.values()]
    assert main(["show", "study", str(best.number), "--studies", str(tmp_path)]) == 0
    assert "3 runs" in capsys.readouterr().out


@pytest.mark.slow
def test_plain_optuna_gets_the_same_mean(tmp_path):
    import optuna

    (tmp_path / "space.toml").write_text(
        'study = { name = "s", cross_validation = 2 }\ntraining = { epochs = 1 }\n'
        "data = { num_train = 40 }\nmodel = { filters = [2] }\n"
    )
    study = optuna.create_study(direction="maximize")
    study.optimize(Objective(tmp_path / "space.toml"), n_trials=1)
    assert sorted(study.trials[0].intermediate_values) == [0, 1]
    assert study.best_value == fmean(study.trials[0].intermediate_values.values())


# ---- folds ----


def test_every_image_that_is_not_test_is_validated_on_once():
    folds = [load(DataConfig(num_folds=3, fold=fold)) for fold in (1, 2, 3)]
    sizes = [len(fold.y_validation) for fold in folds]
    assert sum(sizes) == 1437
    assert max(sizes) - min(sizes) <= 1
    for fold in folds:
        assert len(fold.y_train) + len(fold.y_validation) == 1437
        counts = [(fold.y_validation == digit).sum() for digit in range(10)]
        assert max(counts) - min(counts) <= 4  # of about 48: the classes are in proportion
    seen = {image.tobytes() for fold in folds for image in fold.x_validation}
    assert seen == {image.tobytes() for image in [*folds[0].x_train, *folds[0].x_validation]}
    assert not {image.tobytes() for image in folds[0].x_train} & {image.tobytes() for image in folds[0].x_validation}


def test_more_folds_than_images_of_a_class_are_refused():
    with pytest.raises(DataError, match=r"2000 folds .*num_folds.* class 8 has 139 images.*at most 139"):
        load(DataConfig(num_folds=2000, fold=1))


@pytest.mark.parametrize(
    ("study", "data", "message"),
    [
        ({"cross_validation": 1}, {}, "study.cross_validation: .*greater than or equal to 2"),
        ({"repeats": 1}, {}, "study.repeats: .*greater than or equal to 2"),
        ({"cross_validation": 3}, {"num_validation": 10}, "study.cross_validation: data: num_validation has no effect"),
        ({"cross_validation": 3}, {"num_folds": 2, "fold": 1}, "data.num_folds: study.cross_validation sets it"),
        ({"function": "beale", "repeats": 2}, None, "study: a function is called once; remove repeats"),
        ({}, {"fold": 1}, "data: fold = 1 to num_folds; give both"),
        ({}, {"num_folds": 2, "fold": 3}, "data: fold = 1 to num_folds; give both"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(study, data, message):
    with pytest.raises(SpaceError, match=message) as caught:
        parse_space({"study": {"name": "study", **study}, **({} if data is None else {"data": data})}, "space.toml")
    assert "\n" not in str(caught.value)
