"""A user's model that would be trained wrongly without a word is refused before it is trained, with the fix."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from sweep.config.trial import TrialConfig
from sweep.data import load
from sweep.engines.base import record_of
from sweep.engines.packed.engine import PackedEngine
from sweep.engines.sequential import SequentialEngine
from sweep.errors import InputError, ModelError, SpaceError
from sweep.models.build import build_checked
from sweep.models.probe import configs_to_probe, probe
from sweep.space.file import parse_space

LOGITS = {"activation": None}
RAW = {"scaling": "none"}
RATE = {"initial_rate": 0.02}


def config_of(builder: str = "build", options: dict[str, Any] | None = None, **sections: Any) -> TrialConfig:
    model = {"builder": f"silent_models:{builder}", "options": options or {}}
    return TrialConfig.from_values({"model": model, **sections}, "test")


def checked(builder: str = "build", options: dict[str, Any] | None = None, **sections: Any) -> Any:
    config = config_of(builder, options, **sections)
    return build_checked(config, load(config.data))


@pytest.mark.parametrize(
    ("builder", "options", "sections", "facts"),
    [
        ("build", LOGITS, {}, ("silent_models:build", "softmax", "training.from_logits = true")),
        ("subclassed", LOGITS, {"data": RAW}, ("silent_models:subclassed", "training.from_logits = true")),
        ("build", {"activation": "relu"}, {}, ("softmax",)),
        ("build", {}, {"training": {"from_logits": True}}, ("training.from_logits", "remove")),
        ("build", {"activation": "exponential", "bias": 3e38}, {}, ("NaN or infinity",)),
        ("build", {"rescale": 1 / 255}, {}, ("Rescaling", 'data.scaling = "none"')),
        ("build", {"rescale": 1 / 16, "augment": True}, {"data": {"scaling": "standard"}}, ("Rescaling", '"none"')),
        ("subclassed", {}, {}, ("Rescaling", 'data.scaling = "none"')),
        ("nested", {"mean": 33.0, "variance": 6000.0}, {}, ("Normalization", 'data.scaling = "none"')),
        ("build", {"dtype": "uint8"}, {}, ("uint8", 'data.scaling = "none"')),
        ("build", {"dtype": "int32"}, {"data": {"scaling": "standard"}}, ("int32", 'data.scaling = "none"')),
    ],
)
def test_what_would_be_trained_wrongly_is_refused_with_the_fix(
    builder: str, options: dict[str, Any], sections: dict[str, Any], facts: tuple[str, ...]
) -> None:
    with pytest.raises(ModelError) as caught:
        checked(builder, options, **sections)
    assert all(fact in str(caught.value) for fact in facts)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("builder", "options", "sections"),
    [
        ("build", {}, {}),
        ("build", {}, {"training": {"precision": "mixed_bfloat16"}}),
        ("build", {"activation": "sigmoid"}, {}),  # the loss divides by the sum
        ("build", LOGITS, {"training": {"from_logits": True}}),
        ("build", {"rescale": 1 / 16}, {"data": RAW}),
        ("build", {"rescale": 1 / 16, "dtype": "uint8"}, {"data": RAW}),
        ("build", {"rescale": 2.0}, {}),  # [0, 1] -> [0, 2]
        ("subclassed", {}, {"data": RAW}),
        ("rescaling_inside", {}, {}),
        ("nested", {"mean": 0.3, "variance": 0.1}, {}),
    ],
)
def test_what_is_right_passes_and_is_left_as_it_was(
    builder: str, options: dict[str, Any], sections: dict[str, Any]
) -> None:
    config = config_of(builder, options, **sections)
    first, again = (build_checked(config, load(config.data)) for _ in range(2))
    for one, two in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_from_logits_belongs_to_a_builder() -> None:
    with pytest.raises(SpaceError, match=r"training\.from_logits"):
        TrialConfig.from_values({"training": {"from_logits": True}}, "test")


@pytest.mark.slow
@pytest.mark.parametrize("make_engine", [SequentialEngine, PackedEngine])
def test_logits_are_trained_and_validated_as_their_softmax_would_be(make_engine: Any) -> None:
    training = {"epochs": 2, "batch_size": 32, "seed": 3}
    scores = []
    for options, from_logits in (({}, False), (LOGITS, True)):
        engine = make_engine()
        engine.admit(0, config_of("build", options, training={**training, "from_logits": from_logits}, schedule=RATE))
        scores.append([record_of(0, engine.train_epoch()) for _ in range(2)][-1])
        probabilities = keras.ops.convert_to_numpy(engine.model(0)(load(config_of().data).x_train[:4]))
        assert (np.abs(probabilities.sum(axis=1) - 1) < 1e-5).all() != from_logits
        engine.evict(0)
    softmax, logits = scores
    assert logits.logs["val_accuracy"] > 0.8
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert logits.logs[name] == pytest.approx(softmax.logs[name], rel=1e-3)


@pytest.mark.slow
def test_raw_images_reach_a_model_that_scales_them_itself() -> None:
    training = {"epochs": 1, "batch_size": 32, "seed": 3}
    runs = [config_of(training=training), config_of("build", {"rescale": 1 / 16}, data=RAW, training=training)]
    losses = []
    for config in runs:
        engine = SequentialEngine()
        engine.admit(0, config)
        losses.append(record_of(0, engine.train_epoch()).logs["val_loss"])
        engine.evict(0)
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


# ---- before the sweep ----


def space_of(builder: str, choices: list[Any], option: str) -> Any:
    parameter = {"key": f"model.options.{option}", "type": "categorical", "choices": choices}
    rate = {"key": "schedule.initial_learning_rate", "type": "float", "low": 0.001, "high": 0.1}
    model = {"builder": f"silent_models:{builder}"}
    content = {"study": {"name": "mine"}, "model": model, "space": {"choice": parameter, "rate": rate}}
    return parse_space(content, "space.toml")


def test_a_choice_that_gives_logits_is_found_before_the_sweep_and_each_model_is_built_once() -> None:
    configs = configs_to_probe(space_of("build", ["softmax", "linear"], "activation").extreme_configs())
    assert [values["model"]["options"]["activation"] for values in configs] in (
        ["softmax", "linear"],
        ["linear", "softmax"],
    )
    with pytest.raises(ModelError, match="from_logits"):
        probe(configs)


def test_a_builder_that_always_raises_is_refused_and_one_that_raises_for_some_options_is_not() -> None:
    probe(configs_to_probe(space_of("raising", [3, 9], "units").extreme_configs()))
    with pytest.raises(SpaceError, match=r"silent_models:raising.*units are too few"):
        probe(configs_to_probe(space_of("raising", [3, 4], "units").extreme_configs()))


def test_the_families_are_not_probed() -> None:
    assert configs_to_probe(parse_space({"study": {"name": "ours"}}, "space.toml").extreme_configs()) == []


@pytest.mark.parametrize("builder", ["silent_models:nothing", "no_such_module:build"])
def test_a_builder_that_is_not_there_is_refused(builder: str) -> None:
    config = TrialConfig.from_values({"model": {"builder": builder}}, "test")
    with pytest.raises(InputError, match=builder):
        probe([config.values()])


SPACE = """
study = { name = "mine", num_trials = 1 }
training = { epochs = 1 }

[model]
builder = "silent_models:build"
options = { activation = "linear" }
"""
COMMANDS = """
import sys
from sweep.cli.parser import main
for command in (
    ["run", "space.toml", "--device", "cpu"],
    ["run", "space.toml", "--device", "cpu", "--workers", "1"],
    ["check", "space.toml"],
    ["train", "config.toml", "--device", "cpu", "--out", "one"],
    ["run", "space.toml", "--device", "cpu", "--set", "training.from_logits=true"],
):
    print(f"code {main(command)}", flush=True)
    print("next", file=sys.stderr, flush=True)
"""


@pytest.mark.slow
def test_each_command_refuses_logits_before_it_trains_and_takes_them_where_they_are_named(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[1] / "silent_models.py", tmp_path)
    (tmp_path / "space.toml").write_text(SPACE)
    (tmp_path / "config.toml").write_text(SPACE.replace('study = { name = "mine", num_trials = 1 }', ""))
    command = [sys.executable, "-c", COMMANDS]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
    assert process.returncode == 0, process.stderr
    codes = [line for line in process.stdout.splitlines() if line.startswith("code ")]
    assert codes == ["code 2", "code 2", "code 2", "code 2", "code 0"]
    for said in process.stderr.split("next\n")[:4]:
        assert "silent_models:build" in said
        assert "training.from_logits = true" in said
        assert "Traceback" not in said
    assert "images reach the model as float32 in [0, 1]" in process.stdout
    assert not (tmp_path / "one" / "model.keras").exists()
