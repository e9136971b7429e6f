"""Trials become config files with every value and where they came from; a verified one gives its score again."""

import optuna
import pytest
from sweeps import make_space, run_sweep

from sweep.cli.parser import main
from sweep.config.file import Provenance, read_config, write_config
from sweep.data import load
from sweep.engines.fake import FakeEngine
from sweep.errors import InputError, SpaceError
from sweep.executors.in_process import InProcessExecutor
from sweep.results.export import export_trials, trial_config
from sweep.results.stored_study import StoredStudy
from sweep.results.verify import ScoreMissed, check_recorded, verify
from sweep.space.file import load_space
from sweep.space.runs import derived_seed


@pytest.fixture
def study(tmp_path):
    return run_sweep(tmp_path, make_space("tpe", "median"), 20)


def test_the_best_are_exported_with_what_they_were_trained_with(tmp_path, study):
    paths = export_trials(StoredStudy(study), [], 3, tmp_path / "configs")
    best = sorted((t for t in study.trials if t.state.name == "COMPLETE"), key=lambda t: (-t.value, t.number))[:3]
    assert [path.name for path in paths] == [f"trial-{trial.number:05d}.toml" for trial in best]
    config, provenance = read_config(paths[0])
    assert config == make_space().resolve(best[0].params, derived_seed(0, best[0].number))
    assert (provenance.study, provenance.trial, provenance.score) == ("study", best[0].number, best[0].value)
    assert (provenance.num_epochs, provenance.best_epoch, provenance.params) == (9, 9, best[0].params)


def test_every_value_is_in_the_file_defaults_included(tmp_path, study):
    text = export_trials(StoredStudy(study), [], 1, tmp_path)[0].read_text()
    for key in (
        "split_seed",
        "kernel_size",
        "scope",
        "nesterov",
        "staircase",
        "monitor",
        "precision",
        "seed",
        "engine",
        "threads",
    ):
        assert f"\n{key} = " in text


def test_any_trial_by_number_pruned_ones_too(tmp_path, study):
    pruned = next(trial.number for trial in study.trials if trial.state.name == "PRUNED")
    (path,) = export_trials(StoredStudy(study), [pruned], 3, tmp_path)
    config, provenance = read_config(path)
    assert provenance.state == "PRUNED"
    verified = verify(config, provenance, InProcessExecutor(FakeEngine()), 0.0, say=lambda _: None)
    assert verified.repeated == study.trials[pruned].value


@pytest.mark.parametrize("number", [-1, 20])
def test_unknown_trial_is_refused(tmp_path, study, number):
    with pytest.raises(InputError, match="has no trial"):
        export_trials(StoredStudy(study), [number], 3, tmp_path)


def test_trial_of_another_program_is_refused(tmp_path):
    study = run_sweep(tmp_path, make_space(), 1)
    outside = optuna.load_study(study_name="study", storage=f"sqlite:///{tmp_path / 'sweep.db'}")
    outside.tell(outside.ask(), 0.99)
    with pytest.raises(InputError, match="no score of a training by sweep"):
        trial_config(StoredStudy(outside), outside.trials[1])
    assert study.best_value < 0.99


def test_study_without_a_complete_trial_is_refused(tmp_path):
    study = run_sweep(tmp_path, make_space(schedule={"initial_rate": 2.0}, space={}), 1)
    with pytest.raises(InputError, match="no COMPLETE trial"):
        export_trials(StoredStudy(study), [], 3, tmp_path)


def test_verify_repeats_the_score_and_notices_another_config(tmp_path, study):
    config, provenance = read_config(export_trials(StoredStudy(study), [], 1, tmp_path)[0])
    verified = verify(config, provenance, InProcessExecutor(FakeEngine()), 0.0, say=lambda _: None)
    assert verified.repeated == provenance.score
    altered, _ = read_config(tmp_path / f"trial-{provenance.trial:05d}.toml", ["regularizer.l2=0.009"])
    with pytest.raises(ScoreMissed):
        verify(altered, provenance, InProcessExecutor(FakeEngine()), 1e-6, say=lambda _: None)


def test_verify_refuses_other_data_or_backend(tmp_path, study):
    config, provenance = read_config(export_trials(StoredStudy(study), [], 1, tmp_path)[0])
    recorded = provenance.model_copy(
        update={"keras_backend": "tensorflow", "data_hash": load(config.data).content_hash}
    )
    check_recorded(config, recorded, "tensorflow")
    with pytest.raises(InputError, match="KERAS_BACKEND=tensorflow"):
        check_recorded(config, recorded, "jax")
    with pytest.raises(InputError, match="SWEEP_DATA"):
        check_recorded(config, recorded.model_copy(update={"data_hash": "0"}), "tensorflow")


def test_hand_written_config_may_leave_out_what_has_a_default(tmp_path):
    (tmp_path / "mine.toml").write_text('[model]\nfilters = [8]\n[data]\nname = "npz"\npath = "mine.npz"\n')
    config, provenance = read_config(tmp_path / "mine.toml", ["training.epochs=3", "model.filters="])
    assert provenance is None
    assert config.training.epochs == 3
    assert config.model.filters == (32, 64)
    assert config.data.path == str(tmp_path / "mine.npz")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[training]\nepoch = 3", "training.epoch: unknown key"),
        ("[study]\nname = 'x'", "is a space file"),
        ("[provenance]\nstudy = 'x'", "provenance.trial: missing"),
        ("nonsense", "not readable as TOML"),
    ],
)
def test_wrong_config_files_are_one_line(tmp_path, text, shown):
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(SpaceError, match=r"mine\.toml") as error:
        read_config(tmp_path / "mine.toml")
    assert shown in str(error.value)
    assert "\n" not in str(error.value)


def test_an_exported_file_is_whole_or_refused(tmp_path, study):
    """However many of its bytes are left: none of them trains the defaults, all of the config may stand alone."""
    (path,) = export_trials(StoredStudy(study), [], 1, tmp_path)
    whole, cut = path.read_text(), tmp_path / "cut.toml"
    for length in range(len(whole.rstrip())):
        cut.write_text(whole[:length])
        if whole[:length].rstrip(" \n") == whole.split("\n\n[provenance]")[0] and whole[length - 1] == "\n":
            assert read_config(cut) == (read_config(path)[0], None)
            continue
        with pytest.raises(SpaceError, match=r"cut\.toml"):
            read_config(cut)
    cut.write_text(whole.rstrip())
    assert read_config(cut) == read_config(path)


def test_exports_from_before_the_end_was_marked_are_read(tmp_path, study):
    (path,) = export_trials(StoredStudy(study), [], 1, tmp_path)
    before, after = path.read_text().replace("format = 2\n", "").split("[provenance.end]")
    assert after.strip() == "complete = true"
    (tmp_path / "old.toml").write_text(before)
    assert read_config(tmp_path / "old.toml") == read_config(path)
    (tmp_path / "half.toml").write_text(before.split("[training]")[0])
    with pytest.raises(SpaceError, match=r"half\.toml.*export it again"):
        read_config(tmp_path / "half.toml")


def test_an_export_whose_provenance_a_user_removed_is_read(tmp_path, study):
    (path,) = export_trials(StoredStudy(study), [], 1, tmp_path)
    edited = path.read_text().split("[provenance]")[0].replace('precision = "float32"\n', "")
    (tmp_path / "mine.toml").write_text(edited)
    assert read_config(tmp_path / "mine.toml") == (read_config(path)[0], None)


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "[training]\n", "[model]\n[data]\n"])
def test_a_file_without_a_value_is_refused_by_both_who_read_it(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    for read in (read_config, load_space):
        with pytest.raises(SpaceError, match=r"mine\.toml: is empty"):
            read(path, ["training.epochs=1"])


def test_options_of_a_builder_survive_the_file(tmp_path):
    from sweep.config.trial import TrialConfig

    config = TrialConfig.from_values(
        {"model": {"builder": "mine:build", "options": {"width": 3, "deep": {"a": [1]}}}}, "x"
    )
    values = {"study": "s", "trial": 1, "state": "COMPLETE", "metric": "val_loss", "score": 0.5, "num_epochs": 2}
    values |= {"best_epoch": 1, "seed": 0, "engine": "sequential", "num_lanes": 1, "threads": 1, "device": "cpu"}
    values |= {"keras_backend": "jax", "data_hash": "", "params": {"width": 3}, "versions": {}, "command": "sweep run"}
    provenance = Provenance.model_validate(values)
    write_config(tmp_path / "c.toml", config, provenance)
    assert read_config(tmp_path / "c.toml") == (config, provenance)


def test_export_command_writes_beside_the_study(tmp_path, study, capsys):
    assert main(["export", "study", "--studies", str(tmp_path), "--top", "2"]) == 0
    assert len(list((tmp_path / "study" / "configs").glob("trial-*.toml"))) == 2
    assert capsys.readouterr().out.count(".toml") == 2
