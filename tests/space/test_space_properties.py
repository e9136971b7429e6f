"""For any valid space every trial gives a valid config, from the database too, and a config's file is the config.

Spaces are drawn section by section, so that all are valid; the values in them are whatever is allowed.
"""

import json
from pathlib import Path
from typing import Any

import optuna
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.samplers import RandomSampler

from sweep.config.file import Provenance, read_config, write_config
from sweep.config.trial import TrialConfig
from sweep.space.file import load_space, parse_space, stored_space
from sweep.space.space import Space

optuna.logging.set_verbosity(optuna.logging.WARNING)
PROPERTY = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CHARACTERS = st.characters(exclude_categories=["C", "Z"], include_characters=" ")
TEXT = st.text(CHARACTERS, max_size=12)
Content = dict[str, Any]


def ints(low: int, high: int) -> st.SearchStrategy[Content]:
    """A range of whole numbers: plain, on a log scale, or with a step."""
    bounds = st.tuples(st.integers(low, high), st.integers(low, high)).map(sorted)
    shape = st.one_of(
        st.just({}), st.just({"log": True}), st.integers(1, max(1, high - low)).map(lambda n: {"step": n})
    )
    return st.builds(
        lambda ends, more: {"type": "int", "low": ends[0], "high": ends[1], **(more if ends[0] > 0 else {})},
        bounds,
        shape,
    )


def floats(low: float, high: float) -> st.SearchStrategy[Content]:
    """A range of real numbers: plain, on a log scale, or with a step."""
    bounds = st.tuples(st.floats(low, high), st.floats(low, high)).map(sorted)
    shape = st.one_of(st.just({}), st.just({"log": True}), st.integers(1, 40))

    def build(ends: list[float], more: Any) -> Content:
        width = ends[1] - ends[0]
        if isinstance(more, int):  # a step
            more = {"step": width / more} if width / more > 1e-9 else {}
        return {"type": "float", "low": ends[0], "high": ends[1], **(more if ends[0] > 0 or "step" in more else {})}

    return st.builds(build, bounds, shape)


def choices(*values: Any) -> st.SearchStrategy[Content]:
    """Some of them, in any order."""
    some = st.lists(st.sampled_from(values), min_size=1, unique=True)
    return some.map(lambda chosen: {"type": "categorical", "choices": chosen})


OPTIONS = st.one_of(
    ints(-(2**53), 2**53),
    floats(-1e6, 1e6),
    choices(True, False),
    st.lists(TEXT, min_size=1, max_size=5, unique=True).map(lambda texts: {"type": "categorical", "choices": texts}),
)
ALWAYS = {  # keys that go with everything else
    "training.epochs": st.one_of(ints(1, 1000), choices(1, 2, 30)),
    "training.batch_size": st.one_of(ints(1, 512), choices(16, 32, 64)),
    "training.patience": ints(1, 20),
    "training.seed": ints(0, 2**31 - 1),
    "training.monitor": choices("val_loss", "val_accuracy"),
    "training.precision": choices("float32", "mixed_bfloat16"),
    "data.split_seed": ints(0, 2**32 - 1),
    "data.num_train": ints(1, 1000),
    "data.num_validation": ints(1, 300),
    "data.test_fraction": floats(0.01, 0.99),
    "data.scaling": choices("unit", "standard"),
    "schedule.initial_learning_rate": floats(1e-12, 10),
}
OF_ALL_FAMILIES = {  # not beside a builder
    "model.activation": choices("relu", "sigmoid", "elu", "tanh"),
    "model.output": choices("softmax", "sigmoid"),
    "model.initializer": choices("he_normal", "uniform", "zeros"),
    "model.dropout": floats(0, 0.99),
    "regularizer.l1": floats(0, 1),
    "regularizer.l2": floats(0, 1),
    "regularizer.scope": choices("dense", "hidden", "all"),
}
OF_A_CNN = {
    "model.kernel": choices(1, 2, 3, 5),
    "model.pool": ints(1, 3),
    "model.convolutions_per_pool": ints(1, 3),
    "model.padding": choices("valid", "same"),
    "model.dense_units": st.one_of(ints(1, 2048), choices(8, 64)),
    "model.batch_norm": choices(True, False),
    "model.convolution_dropout": floats(0, 0.99),
}


@st.composite
def spaces(draw: st.DrawFn) -> Content:
    """The content of a space file."""
    parameters: dict[str, Content] = {}
    content: Content = {"study": {"name": "study"}, "space": parameters}

    def vary(key: str | None, parameter: Content, **when: Any) -> str:
        name = draw(st.text(CHARACTERS, min_size=1, max_size=8))
        while name in parameters:
            name += "'"
        conditions = {"when": when["when"]} if when else {}
        parameters[name] = {**({"key": key} if key else {}), **parameter, **conditions}
        return name

    with_builder, family = draw(st.booleans()), draw(st.sampled_from(["cnn", "mlp"]))
    keys = ALWAYS if with_builder else {**ALWAYS, **OF_ALL_FAMILIES, **(OF_A_CNN if family == "cnn" else {})}
    for key in draw(st.lists(st.sampled_from(sorted(keys)), max_size=6, unique=True)):
        if draw(st.booleans()):
            vary(key, draw(keys[key]))
    if with_builder:
        content["model"] = {
            "builder": "my_models:build",
            "options": draw(st.dictionaries(TEXT, st.integers(0, 9), max_size=2)),
        }
        for number in range(draw(st.integers(0, 3))):
            vary(f"model.options.varied_{number}", draw(OPTIONS))
    else:
        content["model"] = {"family": family}
        if draw(st.booleans()):
            _vary_layers(draw, vary, "filters" if family == "cnn" else "hidden_units")
    if draw(st.booleans()):
        _vary_optimizer(draw, vary)
    if draw(st.booleans()):
        _vary_schedule(draw, vary)
    return content


def _vary_layers(draw: st.DrawFn, vary: Any, key: str) -> None:
    """A number of layers that is no key of its own, and the width of each that there is."""
    most = draw(st.integers(1, 4))
    deciding = most > 1 and vary(None, {"type": "int", "low": 1, "high": most})
    for number in range(1, most + 1):
        when = {"when": {deciding: [*range(number, most + 1)]}} if number > 1 else {}
        vary(f"model.{key}.{number}", draw(st.one_of(ints(1, 256), choices(8, 16, 32))), **when)


def _vary_optimizer(draw: st.DrawFn, vary: Any) -> None:
    chosen = draw(choices("rmsprop", "nadam", "adamax", "adam", "adamw", "sgd"))
    name = vary("optimizer.name", chosen)
    for key, parameter, of in (
        ("optimizer.momentum", floats(0, 0.99), ("rmsprop", "sgd")),
        ("optimizer.nesterov", choices(True, False), ("sgd",)),
        ("optimizer.weight_decay", floats(0, 1), ("adamw",)),
    ):
        there = [one for one in of if one in chosen["choices"]]
        if there and draw(st.booleans()):
            vary(key, draw(parameter), when={name: there if len(there) > 1 else there[0]})


def _vary_schedule(draw: st.DrawFn, vary: Any) -> None:
    chosen = draw(choices("constant", "inverse_time", "exponential", "cosine"))
    name = vary("schedule.name", chosen)
    decaying = [one for one in ("inverse_time", "exponential") if one in chosen["choices"]]
    if decaying:
        vary("schedule.decay_rate", draw(floats(0, 2)), when={name: decaying})
    if "cosine" in chosen["choices"]:
        vary("schedule.alpha", draw(floats(0, 1)), when={name: ["cosine"]})


def sampled_configs(space: Space, num_trials: int = 3) -> list[TrialConfig]:
    """Configs of sampled trials; what is stored of a trial gives the same config."""
    study = optuna.create_study(sampler=RandomSampler(seed=0))
    configs = []
    for number in range(num_trials):
        configs.append(space.resolve(space.suggest(study.ask()), seed=number))
        stored = json.loads(json.dumps(study.trials[number].params))
        assert space.resolve(stored, seed=number) == configs[-1]
        fixed = optuna.trial.FixedTrial(stored)
        assert space.suggest(fixed) == stored
    return configs


@given(spaces())
@PROPERTY
def test_every_trial_of_a_space_resolves_to_a_config_whose_toml_is_the_config(tmp_path: Path, content: Content) -> None:
    space = parse_space(content, "space.toml")
    for config in sampled_configs(space):
        path = tmp_path / "config.toml"
        path.write_text(tomli_w.dumps(config.values()), encoding="utf-8")
        assert read_config(path) == (config, None)


@given(spaces())
@PROPERTY
def test_a_space_is_the_same_from_its_file_and_from_its_study(tmp_path: Path, content: Content) -> None:
    space = parse_space(content, "space.toml")
    path = tmp_path / "space.toml"
    path.write_text(tomli_w.dumps(content), encoding="utf-8")
    assert load_space(path).record() == space.record()
    settings_of_the_study = json.loads(json.dumps({"space": space.record()}))
    assert stored_space("study", settings_of_the_study["space"]).record() == space.record()


@given(spaces(), st.dictionaries(TEXT, TEXT, max_size=2), TEXT, st.floats(allow_nan=False, allow_infinity=False))
@PROPERTY
def test_an_exported_config_reads_back_with_where_it_came_from(
    tmp_path: Path, content: Content, texts: dict[str, str], command: str, score: float
) -> None:
    (config,) = sampled_configs(parse_space(content, "space.toml"), 1)
    provenance = Provenance(
        **{"study": "study", "trial": 3, "state": "COMPLETE", "metric": "val_loss", "score": score, "num_epochs": 1},
        **{"best_epoch": 1, "seed": 0, "engine": "packed", "num_lanes": 1, "threads": 1, "device": "cpu"},
        **{"keras_backend": "jax", "data_hash": "", "params": texts, "versions": texts, "command": command},
    )
    path = tmp_path / "config.toml"
    write_config(path, config, provenance)
    assert read_config(path) == (config, provenance)
