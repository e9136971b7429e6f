"""`sweep confirm`: the best configs from the same fresh seeds, every score stored, what may be said of them."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import optuna
import pytest
from scipy import stats
from sweeps import RANDOM_SPACE, make_space, open_in, run_sweep

from sweep.cli.parser import main
from sweep.config.file import read_config
from sweep.config.study_settings import read_settings
from sweep.engines.fake import FakeEngine, fake_record
from sweep.errors import InputError, Interrupted
from sweep.executors.in_process import InProcessExecutor
from sweep.results.confirm import ConfirmSession
from sweep.results.confirm_plan import confirmation_seeds, plan_confirmation
from sweep.results.confirmation import Candidate, Confirmation, mean_interval, read_confirmation
from sweep.results.report import make_page
from sweep.results.stored_study import StoredStudy
from sweep.space.file import parse_space
from sweep.storage import WriteBehindStorage, database_url, read_study, study_lock
from sweep.system.interruption import Interruption

EPOCHS = 4
SPACE = """
study = { name = "study" }
training = { epochs = 3 }

[space.filters_1]
key = "model.filters.1"
type = "int"
low = 2
high = 8
"""
COMMANDS = """
from sweep.cli.parser import main
flags = ["--device", "cpu", "--threads", "2"]
codes = [
    main(["run", "space.toml", "--trials", "3", "--lanes", "4", *flags]),
    main(["confirm", "study", "--top", "2", "--seeds", "2", *flags]),
    main(["show", "study", "--json"]),
]
"""


class Killed(Interrupted):
    """As `kill -9` would."""


class DyingEngine(FakeEngine):
    def __init__(self, num_lanes, epochs):
        super().__init__(num_lanes)
        self.left = epochs

    def train_epoch(self, lanes=None):
        self.left -= 1
        if self.left < 0:
            raise Killed(9)
        return super().train_epoch(lanes)


class FailsFrom(FakeEngine):
    """From one seed, in its second epoch."""

    def __init__(self, seed):
        super().__init__(3)
        self.seed = seed

    def train_epoch(self, lanes=None):
        outcomes = dict(super().train_epoch(lanes))
        for lane, metrics in outcomes.items():
            if self._runs[lane][0].training.seed == self.seed and metrics.epoch == 2:
                outcomes[lane] = MemoryError("too large")
        return outcomes


@pytest.fixture
def folder(tmp_path):
    """A study of 12 trials on the fake engine."""
    run_sweep(tmp_path, make_space("random", "none", EPOCHS), 12)
    return tmp_path


def confirm(folder, top=3, num_seeds=4, engine=None, again=False, **changes):
    url = database_url(folder)
    study = read_study(url, "study")
    plan = plan_confirmation(StoredStudy(study), top, num_seeds, again=again)
    storage = WriteBehindStorage(url, "study")
    settings = replace(read_settings(study.user_attrs, "study"), **changes)
    confirming = ConfirmSession(storage, plan, settings, Interruption(), lambda _: None, again=again)
    confirming.run(InProcessExecutor(engine or FakeEngine(3)))
    storage.close()
    return stored(folder)


def stored(folder):
    return read_confirmation(read_study(database_url(folder), "study").user_attrs)


# ---- what is trained ----


def test_candidates_are_the_best_and_each_is_trained_from_the_same_fresh_seeds(folder):
    study = read_study(database_url(folder), "study")
    best = sorted(study.trials, key=lambda trial: -trial.value)[:3]
    confirmed = confirm(folder)
    assert [one.trial for one in confirmed.candidates] == [trial.number for trial in best]
    assert [one.rank_in_sweep for one in confirmed.candidates] == [1, 2, 3]
    used = {trial.user_attrs["seed"] for trial in study.trials}
    for one, trial in zip(confirmed.candidates, best, strict=True):
        assert one.score_in_sweep == trial.value
        assert list(one.scores) == confirmed.seeds == confirmation_seeds(0, 4)
        assert not used & set(one.scores)
        config = make_space("random", "none", EPOCHS).resolve(trial.params, 0)
        for seed, score in one.scores.items():
            training = config.training.model_copy(update={"seed": seed})
            assert score == fake_record(config.model_copy(update={"training": training}), EPOCHS).logs["val_accuracy"]


@pytest.mark.slow
def test_more_seeds_and_candidates_add_what_is_missing(folder):
    first = confirm(folder, top=2, num_seeds=2)
    more = confirm(folder, top=3, num_seeds=4, engine=DyingEngine(1, epochs=(3 * 4 - 2 * 2) * EPOCHS))
    assert [list(one.scores) for one in more.candidates] == [confirmation_seeds(0, 4)] * 3
    for before, after in zip(first.candidates, more.candidates, strict=False):
        assert {seed: after.scores[seed] for seed in first.seeds} == before.scores
    assert confirm(folder, top=1, num_seeds=1, engine=DyingEngine(1, epochs=0)).ranking == more.ranking


@pytest.mark.slow
@pytest.mark.parametrize("num_epochs", [0, 1, EPOCHS, 2 * EPOCHS + 1, 3 * EPOCHS])
def test_killed_anywhere_the_same_command_goes_on_and_gives_the_same(folder, tmp_path_factory, num_epochs):
    with pytest.raises(Killed):
        confirm(folder, engine=DyingEngine(3, num_epochs))
    num_stored = sum(len(one.scores) for one in stored(folder).candidates) if num_epochs else 0
    assert num_stored == num_epochs // EPOCHS * 3
    other = tmp_path_factory.mktemp("unbroken")
    run_sweep(other, make_space("random", "none", EPOCHS), 12)
    left = (12 - num_stored) // 3 * EPOCHS
    assert confirm(folder, engine=DyingEngine(3, left)) == confirm(other)


@pytest.mark.slow
def test_folds_are_runs_and_their_mean_is_the_seeds_score(tmp_path):
    run_sweep(tmp_path, make_space("random", "none", EPOCHS, study={"name": "study", "cross_validation": 3}), 4)
    confirmed = confirm(tmp_path, top=1, num_seeds=2, engine=DyingEngine(1, 2 * 3 * EPOCHS))
    assert [len(one.scores) for one in confirmed.candidates] == [2]


@pytest.mark.slow
def test_scores_of_another_engine_are_not_mixed_in(folder):
    confirm(folder, num_seeds=2)
    with pytest.raises(InputError, match=r"threads 1, now it is 2.*--again"):
        confirm(folder, threads=2)
    assert len(confirm(folder, threads=2, num_seeds=1, again=True).seeds) == 1


@pytest.mark.slow
def test_a_seed_that_fails_is_told_and_the_config_not_ranked(folder):
    confirmed = confirm(folder, engine=FailsFrom(confirmation_seeds(0, 4)[1]))
    assert confirmed.ranking == []
    assert [list(one.errors.values()) for one in confirmed.unranked] == [["MemoryError: too large"]] * 3
    words = confirmed.conclusions()
    assert "every seed" in words[0]
    assert [line.endswith("not ranked: 1 of 4 seeds failed (MemoryError: too large)") for line in words[1:]] == [
        True
    ] * 3


# ---- what is said ----


def confirmation(*scores, maximize=True, selected=(0.99, 0.98, 0.97)):
    seeds = [*range(len(scores[0]))]
    candidates = [
        Candidate(trial, trial + 1, selected[trial], dict(zip(seeds, values, strict=False)), {})
        for trial, values in enumerate(scores)
    ]
    return Confirmation("val_accuracy", maximize, seeds, candidates)


GOOD, BAD = [0.95, 0.96, 0.94, 0.97, 0.93], [0.92, 0.94, 0.91, 0.95, 0.90]


def test_interval_is_students_and_that_of_scipy():
    wanted = stats.ttest_1samp(GOOD, 0).confidence_interval(0.95)
    interval = mean_interval(GOOD)
    assert (interval.low, interval.high) == pytest.approx((wanted.low, wanted.high))


def test_the_first_is_really_better_only_if_the_paired_interval_says_so():
    paired = stats.ttest_rel(GOOD, BAD).confidence_interval(0.95)
    words = confirmation(BAD, GOOD).conclusions()
    assert words[0].startswith("trial 1 is significantly better than trial 0")
    assert f"by 0.026 (95 % interval {paired.low:.4g} to {paired.high:.4g}, 5 paired seeds)" in words[0]
    alike = [0.93, 0.97, 0.95, 0.96, 0.94]
    assert confirmation(GOOD, alike).conclusions()[0].startswith("trial 0 is better than trial 1")
    assert "not significant at the 95 % level" in confirmation(GOOD, alike).conclusions()[0]


def test_less_is_better_where_the_metric_is_minimized():
    losses = confirmation(GOOD, BAD, maximize=False, selected=(0.9, 0.91))
    assert [one.trial for one in losses.ranking] == [1, 0]
    assert losses.conclusions()[0].startswith("trial 1 is significantly better than trial 0: by 0.026")
    assert re.search(r"0\.9000 of trial 0.* 0\.05 better than", losses.conclusions()[1])


def test_the_promise_of_the_best_score_is_held_against_its_own_mean():
    assert re.search(r"0\.9900 of trial 0.* 0\.066 better than", confirmation(BAD, GOOD).conclusions()[1])


def test_one_seed_tells_little_and_one_config_nothing():
    assert re.search(r"trial 0 .* trial 1 by 0\.1.*--seeds", confirmation([0.9], [0.8]).conclusions()[0])
    assert confirmation([0.9, 0.8]).conclusions()[0].startswith("trial 0 was not compared")


def test_what_another_program_left_under_the_name_is_no_confirmation():
    for value in (7, [], {"seeds": "x"}, {"seeds": [1], "metric": "m", "maximize": True, "candidates": {"a": 1}}):
        assert read_confirmation({"confirmation": value}) is None


# ---- who uses it ----


def turned(folder):
    """A confirmation whose order is not the sweep's."""
    url = database_url(folder)
    confirm(folder, num_seeds=2)
    storage = WriteBehindStorage(url, "study")
    with storage.transaction():
        record = storage.get_study_user_attrs(0)["confirmation"]
        for one in record["candidates"].values():
            for results in one["runs"].values():
                results[0]["score"] = 0.5 + 0.1 * one["rank_in_sweep"]
        storage.set_study_user_attr(0, "confirmation", record)
    storage.close()
    return [one.trial for one in stored(folder).candidates]


@pytest.mark.slow
def test_export_takes_the_confirmed_winner_first(folder, capsys):
    order = turned(folder)
    assert main(["export", "study", "--top", "4", "--studies", str(folder)]) == 0
    paths = capsys.readouterr().out.splitlines()
    numbers = [int(path[-10:-5]) for path in paths]
    assert numbers[:3] == order[::-1]
    assert numbers[3] not in order
    _, first = read_config(folder / "study" / "configs" / f"trial-{numbers[0]:05d}.toml")
    _, last = read_config(folder / "study" / "configs" / f"trial-{numbers[3]:05d}.toml")
    assert (first.confirmed_rank, first.confirmed_mean, first.confirmed_num_seeds) == (1, 0.8, 2)
    assert last.confirmed_mean is None


@pytest.mark.slow
def test_show_and_report_have_both_ranks(folder, capsys):
    order = turned(folder)
    assert main(["show", "study", "--studies", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "2 new seeds, val_accuracy" in said
    assert f"trial {order[-1]} is significantly better than trial {order[-2]}: by 0.1 " in said
    assert main(["show", "study", "--json", "--studies", str(folder)]) == 0
    records = json.loads(capsys.readouterr().out)["confirmation"]
    assert [(one["rank"], one["rank_in_sweep"], one["trial"]) for one in records] == [
        (1, 3, order[2]),
        (2, 2, order[1]),
        (3, 1, order[0]),
    ]
    page = make_page([read_study(database_url(folder), "study")])
    assert f"Trial {order[-1]} is significantly better than trial {order[-2]}" in page
    assert f"confirmed val_accuracy, trial {order[-1]}" in page
    assert "best val_accuracy, trial" not in page
    assert f"<td>{order[-1]}: " in page


@pytest.mark.slow
def test_a_report_without_a_confirmation_says_that_the_best_score_was_chosen(folder):
    page = make_page([read_study(database_url(folder), "study")])
    assert "sweep confirm study" in page


# ---- the command ----


@pytest.fixture
def commanded(tmp_path):
    """A study of `sweep run`."""
    (tmp_path / "space.toml").write_text(SPACE)
    run = ["run", str(tmp_path / "space.toml"), "--engine", "fake", "--trials", "4", "--studies", str(tmp_path)]
    assert main(run) == 0
    return tmp_path


def test_the_command_says_what_it_does_and_goes_on(commanded, capsys):
    arguments = ["confirm", "study", "--studies", str(commanded), "--top", "2", "--seeds", "3"]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "6 runs, 0 already stored" in said
    assert "the sweep's best score" in said
    assert main(arguments) == 0
    assert "6 runs, 6 already stored" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["confirm", "no-such"], "no study named no-such; there are: study"),
        (["confirm", "study", "--seeds", "0"], "must be a positive integer, got '0'"),
        (["confirm", "study", "--engine", "fake", "--threads", "7"], "made with threads"),
    ],
)
def test_wrong_input_is_one_line(commanded, capsys, arguments, message):
    main(["confirm", "study", "--seeds", "1", "--studies", str(commanded)])
    try:
        code = main([*arguments, "--studies", str(commanded)])
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_a_study_that_is_being_swept_is_not_confirmed_meanwhile(folder, capsys):
    with study_lock(database_url(folder), "study"):
        assert main(["confirm", "study", "--studies", str(folder)]) == 2
    assert "is being swept by process" in capsys.readouterr().err


def test_a_study_of_another_program_is_refused(tmp_path, capsys):
    study = optuna.create_study(study_name="theirs", storage=f"sqlite:///{tmp_path / 'sweep.db'}")
    study.tell(study.ask(), 1.0)
    assert main(["confirm", "theirs", "--studies", str(tmp_path)]) == 2
    assert "was not made by `sweep run`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ({"function": "beale"}, "function beale"),
        ({"metrics": ["val_accuracy", "val_loss"]}, "multi-objective"),
    ],
)
def test_what_has_no_winner_to_confirm_is_said(tmp_path, capsys, study, message):
    axis = {"type": "float", "low": -4.5, "high": 4.5}
    varied = {"x": axis, "y": axis} if "function" in study else RANDOM_SPACE
    space = parse_space({"study": {"name": "study", **study}, "space": varied}, "space.toml")
    open_in(tmp_path, space).write_behind.close()
    assert main(["confirm", "study", "--studies", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_a_changed_score_is_noticed(folder, capsys):
    import sqlite3

    confirm(folder)
    with sqlite3.connect(folder / "sweep.db") as database:
        database.execute(
            "UPDATE study_user_attributes SET value_json = replace(value_json, '\"score\": 0.', '\"score\": 1.') "
            "WHERE key = 'confirmation'"
        )
    database.close()
    assert main(["show", "study", "--studies", str(folder)]) == 2
    assert "sweep wrote it" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_packed_lanes_confirm_and_give_the_sequential_engines_score(tmp_path):
    """Real training: two configs from two seeds on packed lanes, one of them repeated by the sequential engine."""
    (tmp_path / "space.toml").write_text(SPACE)
    result = subprocess.run([sys.executable, "-c", COMMANDS], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "engine: packed, 4 lanes" in result.stdout, result.stdout + result.stderr
    confirmed = stored(tmp_path / "studies")
    assert [len(one.scores) for one in confirmed.ranking] == [2, 2]
    from sweep.engines.sequential import SequentialEngine

    plan = plan_confirmation(StoredStudy(read_study(database_url(tmp_path / "studies"), "study")), 1, 1)
    (trial,), (seed,) = plan.configs, plan.seeds[:1]
    engine, history = SequentialEngine(), []
    engine.admit(0, plan.runs(trial, seed)[0])
    while outcomes := engine.train_epoch():
        history.append(outcomes[0].logs["val_accuracy"])
    assert confirmed.candidates[0].scores[seed] == pytest.approx(history[-1], abs=0.01)
