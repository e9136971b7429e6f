"""A family of the user's own is one file: its keys vary in a space and are checked, its models sweep and retrain."""

import json
import sys
from pathlib import Path

import pytest

from sweep.cli.parser import main
from sweep.config.families import config_class, get_family
from sweep.config.model import FAMILIES
from sweep.config.trial import TrialConfig
from sweep.engines.auto import Situation, choose
from sweep.engines.device import Device
from sweep.errors import SpaceError
from sweep.models.cnn import layer_costs
from sweep.models.cost import TrialCost, largest_cost
from sweep.models.family import Family
from sweep.models.lane_support import all_without_lanes
from sweep.space.file import load_space, parse_space

FILE = Path(__file__).parents[1] / "residual_family.py"
OWN = "residual_family:FAMILY"
SPACE = f"""
[study]
name = "own"
[data]
num_train = 150
num_validation = 100
[model]
family = "{OWN}"
[training]
epochs = 1
[space.blocks]
key = "model.blocks"
type = "int"
low = 1
high = 2
[space.head]
key = "model.head.1"
type = "categorical"
choices = [8, 16]
[space.dropout]
key = "model.dropout"
type = "float"
low = 0.0
high = 0.5
"""


@pytest.fixture(autouse=True)
def own(monkeypatch, folder):
    """Where the user works: the space file and the family's beside it. Modules are found by what names them alone."""
    (folder / FILE.name).write_bytes(FILE.read_bytes())
    path = [*sys.path]
    cpu = Device("cpu", "cpu", "tensorflow")  # TensorFlow's threads can be set once in a process
    monkeypatch.setattr("sweep.engines.backends.tensorflow.set_up_device", lambda *_: cpu)
    yield
    sys.path[:] = path
    sys.modules.pop(FILE.stem, None)


def forget():
    """As a process of its own would begin, in another folder."""
    sys.modules.pop(FILE.stem, None)
    sys.path[:] = [folder for folder in sys.path if not (Path(folder) / FILE.name).exists()]


@pytest.mark.slow
def test_it_is_swept_exported_verified_and_retrained(folder, capsys, monkeypatch):
    threads = ["--threads", "1"]
    assert main(["run", "space.toml", "--trials", "2", *threads, "--quiet", "--sampler", "random"]) == 0
    said = capsys.readouterr().out
    assert f"this runs your code: {OWN} ({folder})" in said
    assert main(["show", "own", "--json"]) == 0
    settings = json.loads(capsys.readouterr().out)["user_attrs"]["sweep"]
    assert (settings["engine"], settings["num_lanes"]) == ("sequential", 1)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    of = ["--studies", str(folder / "studies")]
    for arguments in (
        ["export", "own", "--top", "1", "--out", "configs", *of],
        ["retrain", "configs", "--verify", *threads],
        ["retrain", "configs", "--out", "models", *threads],
    ):
        forget()
        config = next((str(file) for file in elsewhere.glob("configs/*.toml")), "")
        assert main([config if one == "configs" and arguments[0] == "retrain" else one for one in arguments]) == 0
        assert f"this runs your code: {OWN} ({folder})" in capsys.readouterr().out
    model = json.loads((elsewhere / "models" / "metrics.json").read_text())["config"]["model"]
    assert model.keys() == {"family", "blocks", "width", "activation", "head", "dropout"}
    assert (elsewhere / "models" / "model.keras").exists()


def test_its_keys_vary_beside_those_of_other_families(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    space = parse_space(
        {
            "study": {"name": "mixed"},
            "space": {
                "family": {"key": "model.family", "type": "categorical", "choices": ["mlp", OWN]},
                "units": {"key": "model.hidden_units.1", "type": "int", "low": 4, "high": 9, "when": {"family": "mlp"}},
                "blocks": {"key": "model.blocks", "type": "int", "low": 1, "high": 3, "when": {"family": OWN}},
            },
        },
        "space.toml",
    )
    assert space.resolve({"family": OWN, "blocks": 3}, 0).model == config_class(OWN)(family=OWN, blocks=3)
    assert space.resolve({"family": "mlp", "units": 5}, 0).model.hidden_units == (5,)
    assert space.user_code == (OWN,)
    assert all_without_lanes(space.extreme_configs()) == (OWN,)
    config = space.resolve({"family": OWN, "blocks": 3}, 0)
    assert TrialConfig.from_values(config.values(), "test") == config


@pytest.mark.parametrize(
    ("old", "new", "facts"),
    [
        ("[training]", "blockz = 3\n[training]", ["model.blockz", "model.blocks"]),
        ("[training]", "filters = [3]\n[training]", ["filters", "cnn", OWN]),
        ("[training]", "width = 0\n[training]", ["model.width", "got 0"]),
        ("[training]", "[regularizer]\nl2 = 0.1\n[training]", ["regularizer", OWN]),
        ('"model.blocks"', '"model.block"', ["space.blocks.key", "model.blocks"]),
        ('"model.head.1"', '"model.width.1"', ["space.head.key", "model.width"]),
        (OWN, "residual_famly:FAMILY", ["model.family", "residual_famly"]),
        (OWN, "residual_family:build", ["model.family", "residual_family:build", "Family"]),
        (OWN, "ressnet", ["model.family", '"ressnet"', "cnn", "mlp"]),
    ],
)
def test_what_is_wrong_is_one_line_with_key_and_fix(folder, old, new, facts):
    (folder / "wrong.toml").write_text(SPACE.replace(old, new, 1))
    with pytest.raises(SpaceError) as caught:
        load_space(folder / "wrong.toml")
    message = str(caught.value)
    assert "\n" not in message
    assert all(fact in message for fact in ["wrong.toml", *facts]), message


def test_keys_are_set_on_the_command_line(folder):
    fixed = load_space(folder / "space.toml", ["model.width=5", "model.blocks=1"])
    assert fixed.resolve({"blocks": 1, "head": 8, "dropout": 0.1}, 0).model.width == 5
    (folder / "plain.toml").write_text('[study]\nname = "plain"\n')
    chosen = load_space(folder / "plain.toml", [f"model.family={OWN}", "model.blocks=3", "model.head.1=4"])
    assert (chosen.resolve({}, 0).model.blocks, chosen.resolve({}, 0).model.head) == (3, (4,))
    with pytest.raises(SpaceError, match=r'"model\.block".*model\.blocks'):
        load_space(folder / "space.toml", ["model.block=1"])


def test_families_of_two_modules_are_refused_as_one_digest_is_stored(folder):
    (folder / "other_family.py").write_bytes(FILE.read_bytes())
    both = f'[space.family]\nkey = "model.family"\ntype = "categorical"\nchoices = ["{OWN}", "other_family:FAMILY"]'
    (folder / "two.toml").write_text(f'[study]\nname = "two"\n{both}\n')
    with pytest.raises(SpaceError, match="residual_family and other_family"):
        load_space(folder / "two.toml")
    sys.modules.pop("other_family", None)


def test_an_installed_package_adds_a_family_by_a_short_name(folder, monkeypatch):
    info = folder / "residual-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: residual\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[sweep.families]\nresidual = {OWN}\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr("sweep.config.families.FAMILIES", type(FAMILIES)(**vars_of(FAMILIES)))
    assert get_family("residual").config.__name__ == "ResidualConfig"
    config = TrialConfig.from_values({"model": {"family": "residual", "blocks": 4}}, "test")
    assert config.values()["model"]["family"] == "residual"


def vars_of(registry):
    return {name: getattr(registry, name) for name in ("kind", "key", "group", "built_in", "is_function")}


# ---- which engine ----


def test_without_a_lane_kernel_the_sequential_engine_trains_and_it_is_said_why(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    space = parse_space({"study": {"name": "own"}, "model": {"family": OWN}}, "space.toml")
    cost = largest_cost(space, (8, 8, 1), 10)
    assert cost is None
    for known in (cost, TrialCost(10**7, 10**7)):  # a family may have a cost and no kernel
        choice = choose(
            Situation(known, "cpu", 2, 10**12, 1000, without_lanes=all_without_lanes(space.extreme_configs()))
        )
        assert (choice.engine, choice.num_lanes) == ("sequential", 1)
        assert OWN in choice.line()


@pytest.mark.slow
def test_on_a_lane_of_the_packed_engine_it_trains_as_on_the_sequential_one(folder, monkeypatch):
    from sweep.engines.packed.engine import PackedEngine
    from sweep.engines.sequential import SequentialEngine

    monkeypatch.syspath_prepend(folder)
    few = {"data": {"num_train": 60, "num_validation": 30}, "training": {"epochs": 1}}
    own, mlp = (TrialConfig.from_values({**few, "model": {"family": name}}, "test") for name in (OWN, "mlp"))
    packed, alone = PackedEngine(2), SequentialEngine()
    packed.admit(0, own)
    packed.admit(1, mlp)
    alone.admit(0, own)
    beside, expected = packed.train_epoch(), alone.train_epoch()
    assert beside[0].score("val_loss") == expected[0].score("val_loss")
    assert beside[1].score("val_loss") > 0


@pytest.mark.parametrize("given", [{}, {"layers": list, "build": list}, {"build": list, "kernel": list}])
def test_a_family_says_in_one_way_how_its_models_are_made(given):
    with pytest.raises(TypeError, match="CnnConfig"):
        Family(config=config_class("cnn"), cost=layer_costs, **given)
