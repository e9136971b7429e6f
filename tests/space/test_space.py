"""Space files: each mistake is one line with file, key and fix; what is right resolves to what the file says."""

import tomllib
from pathlib import Path
from typing import Any

import optuna
import pytest

from sweep.errors import SpaceError
from sweep.space.checks import check_feature_maps
from sweep.space.file import load_space, parse_space
from sweep.space.points import points_of
from sweep.space.space import Space

SHIPPED = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.toml"))


def parse(text: str) -> Space:
    return parse_space(tomllib.loads('[study]\nname = "test"\n' + text), "my.toml")


def parameter(key: str, rest: str = 'type = "float"\nlow = 0.1\nhigh = 0.9', name: str = "x") -> str:
    return f'[space.{name}]\nkey = "{key}"\n{rest}\n'


RANGE = 'type = "float"\n'
CHOICES = 'type = "categorical"\nchoices = '
MISTAKES = {
    "unknown section": ("[trainig]\nepochs = 3", r"unknown section \[trainig\].*training"),
    "strange section": ("[zzz]\nepochs = 3", r"unknown section \[zzz\]; the sections are data, .*training"),
    "unknown key": ("[training]\nepoch = 3", "training.epoch: unknown key.*training.epochs"),
    "test set as validation": ('[data]\nvalidation = "test"', "data.validation: a sweep never reads the test set"),
    "each hidden layer varies": (
        '[model]\nfamily = "mlp"\nhidden_units = [8]\n' + parameter("model.hidden_units.1", CHOICES + "[8]"),
        "model.hidden_units: every item varies",
    ),
    "unknown study key": ('target = "loss"', "study.target: unknown key"),
    "unknown metric": ('metric = "f2"', 'study: metric "f2" is not a metric. Use one of val_accuracy'),
    "unknown direction": ('direction = "up"', "study.direction: .*'maximize' or 'minimize'"),
    "no trials": ("num_trials = 0", "study.num_trials: .*got 0"),
    "sampler without name": ("[sampler]\nseed = 3", "sampler.name: missing; add it"),
    "pruner as value": ('[[pruner]]\nname = "median"', r"pruner must be a section \[pruner\]"),
    "key twice": ("[optimizer]\nmomentum = 0.5\n" + parameter("optimizer.momentum"), "space.x.key: .*is fixed in"),
    "no config key": (parameter("optimizer.xyz"), 'space.x.key: "optimizer.xyz" is not a config key; optimizer has'),
    "no config section": (parameter("optimiser.momentum"), "space.x.key: .*optimizer.momentum"),
    "key too deep": (parameter("training.epochs.1"), 'space.x.key: .*goes too deep; use "training.epochs"'),
    "options without name": (parameter("model.options"), 'space.x.key: specify an option, as in "model.options.width"'),
    "filters from zero": (parameter("model.filters.0"), "space.x.key: .*must end in a number from 1"),
    "filters by name": (parameter("model.filters.first"), "space.x.key: .*must end in a number from 1"),
    "filters with a gap": (
        parameter("model.filters.1", CHOICES + "[8]") + parameter("model.filters.3", CHOICES + "[8]", "y"),
        "model.filters.3 is set, but there is no model.filters.2; number them in order from 1",
    ),
    "filters not a list": (
        "[model]\nfilters = 3\n" + parameter("model.filters.1", CHOICES + "[8]"),
        "model.filters: must be a list",
    ),
    "options not a section": (
        '[model]\nbuilder = "a:b"\noptions = 3\n' + parameter("model.options.width"),
        r"model.options must be a section",
    ),
    "no key": ('[space.x]\ntype = "float"\nlow = 0\nhigh = 1', "space.x.key: missing, and no `when` refers to x"),
    "no kind": (parameter("optimizer.momentum", "low = 0\nhigh = 1"), "space.x.type: missing; use float, int, cat"),
    "unknown kind": (parameter("optimizer.momentum", 'type = "real"'), "space.x.type: 'real' is unknown; use float"),
    "kind is a list": (parameter("optimizer.momentum", 'type = ["int"]'), "space.x.type: .* is unknown; use float"),
    "parameter as value": ("[space]\nl2 = 0.1", r"space.l2 must be a section \[space.l2\]"),
    "unknown parameter key": (parameter("optimizer.momentum", RANGE + "min = 0"), "space.x.low: missing; add it"),
    "misspelt parameter key": (
        parameter("optimizer.momentum", RANGE + "low = 0\nhigh = 0.5\nlogg = true"),
        "space.x.logg: unknown key",
    ),
    "range upside down": (
        parameter("optimizer.momentum", RANGE + "low = 0.9\nhigh = 0.1"),
        "space.x: low 0.9 is above high 0.1; swap them",
    ),
    "int range upside down": (
        parameter("training.epochs", 'type = "int"\nlow = 9\nhigh = 1'),
        "space.x: low 9 is above high 1; swap them",
    ),
    "log from zero": (
        parameter("regularizer.l2", RANGE + "low = 0\nhigh = 1\nlog = true"),
        "space.x: log needs low > 0, not 0.0; raise low or remove log",
    ),
    "log from below zero": (
        parameter("training.epochs", 'type = "int"\nlow = -1\nhigh = 1\nlog = true'),
        "space.x: log needs low > 0, not -1",
    ),
    "log with step": (
        parameter("regularizer.l2", RANGE + "low = 0.1\nhigh = 1\nlog = true\nstep = 0.1"),
        "space.x: log and step exclude each other; remove one",
    ),
    "step of zero": (
        parameter("optimizer.momentum", RANGE + "low = 0\nhigh = 0.9\nstep = 0"),
        "space.x.step: .*greater than 0",
    ),
    "infinite range": (parameter("regularizer.l2", RANGE + "low = 0\nhigh = inf"), "space.x.high: .*finite"),
    "text as bound": (parameter("regularizer.l2", RANGE + 'low = "0"\nhigh = 1'), "space.x.low: .*got '0'"),
    "fraction as int": (parameter("training.epochs", 'type = "int"\nlow = 1.5\nhigh = 3'), "space.x.low: .*got 1.5"),
    "choice twice": (
        parameter("training.batch_size", CHOICES + "[32, 32]"),
        "space.x.choices: a choice is given twice",
    ),
    "no choice": (parameter("training.batch_size", CHOICES + "[]"), "space.x.choices: .*at least 1"),
    "list twice": (
        parameter("model.filters", CHOICES + "[[8, 8], [16], [8, 8]]"),
        "space.x.choices: a choice is given twice",
    ),
    "choice not allowed": (
        parameter("model.activation", CHOICES + '["relu", "gelu"]'),
        r"model.activation: .*got 'gelu'.*\(with x=gelu\)",
    ),
    "range not allowed": (
        parameter("model.dropout", RANGE + "low = 0\nhigh = 1"),
        r"model.dropout: .*less than 1.*\(with x=1.0\)",
    ),
    "fixed value not allowed": (
        "[training]\nepochs = 0\n" + parameter("regularizer.l2"),
        r"training.epochs: [^(]*\(got 0\)$",  # no params, which have no part in it
    ),
    "file as name of the data": (
        '[data]\nname = "mine.npz"\n' + parameter("regularizer.l2"),
        'data.name: .*name = "npz" and path = "mine.npz"$',
    ),
    "condition on unknown": (
        parameter("optimizer.momentum", RANGE + 'low = 0\nhigh = 0.9\nwhen = { optimzer = "sgd" }'),
        r'space.x.when: "optimzer" is not a parameter above this one; correct the name or move \[space.optimzer\] up',
    ),
    "condition never true": (
        parameter("optimizer.name", CHOICES + '["sgd", "adam"]', "o")
        + parameter("optimizer.momentum", RANGE + 'low = 0\nhigh = 0.9\nwhen = { o = "sdg" }'),
        "space.x.when: o is never 'sdg'; correct the value",
    ),
    "condition on a float": (
        parameter("regularizer.l2", RANGE + "low = 0\nhigh = 1", "l2")
        + parameter("optimizer.momentum", RANGE + "low = 0\nhigh = 0.9\nwhen = { l2 = 0.5 }"),
        "space.x.when: l2 is never 0.5",
    ),
    "two owners": (
        parameter("optimizer.momentum") + parameter("optimizer.momentum", name="y"),
        "space.y.key: optimizer.momentum is varied by x too; remove one, or condition both with when",
    ),
    "momentum without one": (
        '[optimizer]\nname = "adam"\n' + parameter("optimizer.momentum"),
        "optimizer: momentum: adam has no momentum; remove it",
    ),
    "momentum with one that may have none": (
        parameter("optimizer.name", CHOICES + '["sgd", "adam"]', "o") + parameter("optimizer.momentum"),
        r"optimizer: momentum: adam has no momentum; .*condition it with when \(with o=adam, x=0.[19]\)",
    ),
    "momentum where a middle value has none": (
        '[space.kind]\ntype = "int"\nlow = 1\nhigh = 3\n'
        '[optimizer]\nname = "adam"\n'
        + parameter("optimizer.momentum", RANGE + "low = 0\nhigh = 0.9\nwhen = { kind = 2 }"),
        "optimizer: momentum: adam has no momentum",
    ),
    "schedule key without effect": (
        parameter("schedule.decay_rate"),
        "schedule: decay_rate has no effect with the constant schedule",
    ),
    "model key beside a builder": (
        '[model]\nbuilder = "a:b"\n' + parameter("model.dropout"),
        "model: dropout has no effect with a builder",
    ),
    "regularizer beside a builder": (
        '[model]\nbuilder = "a:b"\n' + parameter("regularizer.l2"),
        "regularizer has no effect with a builder",
    ),
    "options without a builder": (parameter("model.options.width"), "model: options are passed to a builder"),
    "a builder cannot vary": (
        parameter("model.builder", CHOICES + '["my_models:build"]', "b"),
        "space.b.key: a builder cannot vary",
    ),
    "odd digits": (parameter("model.filters.²", CHOICES + "[16]", "f"), "space.f.key: .* must end in a number"),
    "fixed filters that all vary": (
        "[model]\nfilters = [8]\n" + parameter("model.filters.1", CHOICES + "[16]", "f"),
        "model.filters: every item varies",
    ),
    "a condition without values": (
        parameter("optimizer.name", CHOICES + '["sgd"]', "o")
        + parameter("regularizer.l2", 'type = "float"\nlow = 0.0\nhigh = 1.0\nwhen = { o = [] }', "l2"),
        "space.l2.when: o has no value",
    ),
    "one key set twice under one condition": (
        parameter("optimizer.name", CHOICES + '["sgd", "rmsprop"]', "o")
        + parameter("optimizer.momentum", 'type = "float"\nlow = 0.0\nhigh = 0.5\nwhen = { o = "sgd" }', "m1")
        + parameter("optimizer.momentum", 'type = "float"\nlow = 0.5\nhigh = 0.9\nwhen = { o = ["sgd"] }', "m2"),
        "space.m2.when: m1 sets optimizer.momentum under the same conditions",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_file_key_and_fix(mistake: str) -> None:
    text, pattern = MISTAKES[mistake]
    with pytest.raises(SpaceError, match=f"^my.toml: {pattern}") as caught:
        parse(text)
    assert "\n" not in str(caught.value)


STUDY = {"name": "test"}


@pytest.mark.parametrize(
    ("content", "pattern"),
    [
        ({}, "study.name: missing; add it"),
        ({"study": 3}, r"study must be a section \[study\], not a value"),
        ({"study": {"name": "a/b"}}, "study.name: .*got 'a/b'"),
        ({"study": STUDY, "space": 3}, r"space must be a section \[space\]"),
        ({"study": STUDY, "training": 3}, r"training must be a section \[training\]"),
    ],
)
def test_a_malformed_file_is_one_line(content: dict[str, Any], pattern: str) -> None:
    with pytest.raises(SpaceError, match=f"^my.toml: {pattern}") as caught:
        parse_space(content, "my.toml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_shipped_space_files_are_right(file: Path) -> None:
    space = load_space(file)
    space = load_space(file)
    first = file.read_text().splitlines()[0]
    assert first.startswith(f"# sweep run search_spaces/{file.name}")
    if file.stem == "beale":
        assert (space.function, space.goal, [*space.parameters]) == ("beale", "minimize value", ["x", "y"])
        return
    if file.stem == "mlp_batch_size":
        assert space.goal == "maximize val_accuracy, minimize seconds"
        assert points_of(space).count == space.study.num_trials == 7
    if file.stem in ("cnn_digits", "cnn_mnist"):
        assert {"l2", "momentum", "initial_rate", "decay_rate", "filters_1", "filters_2"} <= set(space.parameters)
    check_feature_maps(space, (8, 8, 1) if "digits" in file.stem else (28, 28, 1))


MAIN = (
    '[optimizer]\nname = "sgd"\n[schedule]\nname = "inverse_time"\n'
    + '[space.depth]\ntype = "categorical"\nchoices = [1, 2]\n'
    + parameter("regularizer.l2", name="l2")
    + parameter("schedule.decay_rate", name="decay_rate")
    + parameter("model.filters.1", CHOICES + "[16, 32]", "filters_1")
    + parameter("model.filters.2", CHOICES + "[32, 64]\nwhen = { depth = 2 }", "filters_2")
)


def test_params_become_a_config_where_conditions_hold() -> None:
    space = parse(MAIN)
    params = {"depth": 2, "l2": 0.2, "decay_rate": 0.5, "filters_1": 16, "filters_2": 64}
    config = space.resolve(params, seed=5)
    assert (config.regularizer.l2, config.schedule.decay_rate, config.model.filters) == (0.2, 0.5, (16, 64))
    assert config.training.seed == 5
    assert space.resolve({**params, "depth": 1}, seed=5).model.filters == (16,)


def test_resolving_leaves_the_space_as_it_was() -> None:
    """Trials share the space; what one sets must not reach the next."""
    space = parse('[model]\nbuilder = "a:b"\n[model.options]\ndepth = 2\n' + parameter("model.options.width"))
    before = space.fingerprint
    assert space.resolve({"x": 0.5}, 0).model.options == {"depth": 2, "width": 0.5}
    assert space.resolve({"x": 0.7}, 0).model.options == {"depth": 2, "width": 0.7}
    assert space.fingerprint == before


def test_hidden_layers_of_an_mlp_vary_one_by_one() -> None:
    space = parse(
        '[model]\nfamily = "mlp"\nhidden_units = [70, 30]\n' + parameter("model.hidden_units.2", CHOICES + "[8]")
    )
    config = space.resolve({"x": 8}, 0)
    assert config.model.hidden_units == (70, 8)
    assert config.model.lane_widths == (70, 8)
    assert space.widest() == [(70, 8)]


def test_a_fixed_training_seed_is_kept() -> None:
    assert parse("[training]\nseed = 3").resolve({}, seed=5).training.seed == 3


def test_suggest_asks_optuna_for_active_parameters_in_file_order() -> None:
    space = parse(MAIN)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(10):
        params = space.suggest(study.ask())
        assert list(params)[:4] == ["depth", "l2", "decay_rate", "filters_1"]
        assert ("filters_2" in params) == (params["depth"] == 2)
        assert len(space.resolve(params, 0).model.filters) == params["depth"]


@pytest.mark.parametrize(
    ("head", "direction"),
    [("", "maximize"), ('metric = "val_loss"', "minimize"), ('metric = "loss"\ndirection = "maximize"', "maximize")],
)
def test_direction_is_the_metrics_unless_stated(head: str, direction: str) -> None:
    assert parse(head).directions == (direction,)


def test_max_epochs_and_data_configs_follow_what_varies() -> None:
    space = parse(
        parameter("training.epochs", 'type = "int"\nlow = 2\nhigh = 9')
        + parameter("data.scaling", CHOICES + '["unit", "standard"]', "scaling")
    )
    assert space.max_epochs() == 9
    assert {config.scaling for config in space.data_configs()} == {"unit", "standard"}
    assert len(parse(MAIN).data_configs()) == 1


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ("num_trials = 7", False),
        ("seed = 7", False),
        ('metric = "val_loss"', True),
        ('direction = "minimize"', True),
        ("[training]\nepochs = 3", True),
    ],
)
def test_the_fingerprint_covers_what_decides_a_trial(change: str, differs: bool) -> None:
    assert (parse(change + "\n" + MAIN).fingerprint != parse(MAIN).fingerprint) == differs


def test_the_fingerprint_covers_ranges() -> None:
    assert parse(MAIN.replace("low = 0.1", "low = 0.2", 1)).fingerprint != parse(MAIN).fingerprint


def space_file(folder: Path, text: str) -> Path:
    file = folder / "my.toml"
    file.write_text('[study]\nname = "test"\n' + text, encoding="utf-8")
    return file


def test_overrides_set_fixed_values_as_toml_or_text(tmp_path: Path) -> None:
    overrides = [
        "training.epochs=5",
        "optimizer.name=sgd",
        "model.filters=[8, 8]",
        "schedule.initial_learning_rate = 1e-2",
    ]
    config = load_space(space_file(tmp_path, "[training]\nepochs = 3"), overrides).resolve({}, 0)
    assert (config.training.epochs, config.optimizer.name, config.model.filters) == (5, "sgd", (8, 8))
    assert config.schedule.initial_learning_rate == 0.01


def test_overrides_reach_a_builders_options(tmp_path: Path) -> None:
    file = space_file(tmp_path, '[model]\nbuilder = "a:b"')
    assert load_space(file, ["model.options.width=7"]).resolve({}, 0).model.options == {"width": 7}


@pytest.mark.parametrize(
    ("override", "pattern"),
    [
        ("training.epochs", "--set training.epochs: write section.key=value"),
        ("epochs=5", "--set epochs=5: .*training.epochs"),
        ("training.epoch=5", "--set training.epoch=5: .*training.epochs"),
        ("study.name=x", "--set study.name=x: .*--study"),
        ("optimizer.lr=0.1", "--set optimizer.lr=0.1: .*schedule.initial_learning_rate"),
        ("space.y.high=0.3", "--set space.y.high=0.3: .*no parameter is named y.*x"),
        ("space.x.hihg=0.3", "space.x.hihg: unknown key.*space.x.high"),
        ("space.x=0.3", "space.x.high=value"),
        ("training.epochs=zero", "my.toml: training.epochs: .*got 'zero'"),
        ("training.epochs=3\ntraining.epochs=4", "training.epochs: .*"),
        ("optimizer.momentum=2", "optimizer.momentum: .*less than 1"),
        ("optimizer.momentum=", "--set optimizer.momentum=: .*varies in"),
    ],
)
def test_wrong_overrides_are_refused(override: str, pattern: str, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=pattern):
        load_space(space_file(tmp_path, parameter("optimizer.momentum")), [override])


def test_an_override_of_a_section_that_is_a_value_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text('training = 3\n[study]\nname = "test"', encoding="utf-8")
    with pytest.raises(SpaceError, match=r"my\.toml: training must be a section"):
        load_space(file, ["training.epochs=5"])


@pytest.mark.parametrize(
    ("path", "expected"),
    [("images.npz", "{folder}/images.npz"), ("~/images.npz", "{home}/images.npz"), ("/a/images.npz", "/a/images.npz")],
)
def test_data_paths_are_taken_from_the_space_files_folder(
    path: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    space = load_space(space_file(tmp_path, f'[data]\nname = "npz"\npath = "{path}"'))
    wanted = expected.format(folder=tmp_path.resolve(), home=(tmp_path / "home").resolve())
    assert space.resolve({}, 0).data.path == wanted


@pytest.mark.parametrize(
    "text",
    [
        "[model]\nfilters = [8, 8, 8]",
        "[model]\nfilters = [8]\nkernel = 9",
        '[model]\nfilters = [8, 8]\npadding = "same"\npool = 9',
        parameter("model.kernel", 'type = "int"\nlow = 1\nhigh = 9'),
    ],
)
def test_images_too_small_for_depth_kernel_and_pool_are_said_with_file_and_fix(text: str) -> None:
    with pytest.raises(SpaceError, match=r"^my.toml: model.filters: .*leaves no feature map; use fewer.*for images of"):
        check_feature_maps(parse(text), (8, 8, 1))


@pytest.mark.parametrize("num_others", range(6))
def test_one_bad_combination_of_kernel_pool_and_depth_is_found(num_others: int) -> None:
    """32x32 images: only kernel 5, pool 3 and padding "valid" over three convolutions leaves nothing."""
    others = [
        "model.dropout",
        "regularizer.l1",
        "regularizer.l2",
        "optimizer.momentum",
        "schedule.initial_learning_rate",
    ]
    text = "".join(parameter(key, name=f"other_{index}") for index, key in enumerate(others[:num_others]))
    text += '[space.depth]\ntype = "categorical"\nchoices = [1, 2, 3]\n'
    text += '[space.top]\ntype = "categorical"\nchoices = ["a", "b", "c", "d", "e", "f", "g", "h"]\n'
    text += parameter("model.kernel", CHOICES + "[1, 2, 5]", "kernel")
    text += parameter("model.pool", CHOICES + "[1, 2, 3]", "pool")
    text += parameter("model.padding", CHOICES + '["same", "valid"]', "padding")
    for position in (1, 2):
        text += parameter(f"model.filters.{position}", CHOICES + "[8, 16]", f"filters_{position}")
    text += parameter("model.filters.3", CHOICES + "[8, 16]\nwhen = { depth = 3, top = 'h' }", "filters_3")
    with pytest.raises(SpaceError, match="leaves no feature map"):
        check_feature_maps(parse(text), (32, 32, 1))
    check_feature_maps(parse(text), (64, 64, 1))


def test_nothing_in_a_space_file_is_executed(tmp_path: Path) -> None:
    """A builder is named, not imported, until a model is built."""
    (tmp_path / "trap.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", encoding="utf-8")
    space = parse('[model]\nbuilder = "trap:build"')
    assert space.resolve({}, 0).model.builder == "trap:build"
    assert not (tmp_path / "ran").exists()
