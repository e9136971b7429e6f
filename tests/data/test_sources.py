"""A data source of the user's own does all that one of ours does, and whatever it does wrong is one line."""

import sys

import numpy as np
import pytest
from sweeps import read_trials

from sweep.cli.parser import main
from sweep.config.data import SOURCES, DataConfig
from sweep.config.file import read_config
from sweep.config.trial import TrialConfig
from sweep.data import Arrays, check_content, clear_cache, load, load_raw_test
from sweep.engines.device import Device
from sweep.errors import DataError, SpaceError

SOURCE = """
import numpy as np
from pathlib import Path
from sweep.data import Arrays

def load(size=6, seed=0):
    generator = np.random.default_rng(seed)
    def part(num_images):
        labels = np.arange(num_images) % 3
        images = generator.integers(0, 60, (num_images, size, size)).astype(np.uint8)
        images[np.arange(num_images), 0, labels] = 255
        return images, labels
    train = part(150)
    def test():
        Path("read").touch()
        return part(30)
    return Arrays(train=train, test=test, class_names=["ant", "bee", "cat"])
"""
SPACE = """
[study]
name = "mine"
[data]
name = "images_of_mine:load"
options = { seed = 3 }
[training]
epochs = 1
[model]
family = "mlp"
hidden_units = [8]
[sampler]
name = "grid"
[space.size]
key = "data.options.size"
type = "categorical"
choices = [6, 7]
"""
RUN = ["run", "space.toml", "--quiet", "--engine", "sequential", "--threads", "1"]


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    """Each command finds modules and packages as a process of its own would: call it before the next command."""
    path = [*sys.path]
    cpu = Device("cpu", "cpu", "tensorflow")  # TensorFlow's threads can be set once in a process
    monkeypatch.setattr("sweep.engines.backends.tensorflow.set_up_device", lambda *_: cpu)

    def forget_all():
        sys.path[:] = path
        clear_cache()
        SOURCES.__dict__.pop("_installed", None)
        for name in [name for name in sys.modules if name.startswith("images_of_mine")]:
            del sys.modules[name]

    forget_all()
    yield forget_all
    forget_all()


def test_every_file_among_our_sources_is_one():
    assert {"digits", "mnist", "npz"} <= {*SOURCES.names()}
    assert all(callable(SOURCES.get(name)) for name in SOURCES.built_in)


# ---- one file of the user's, by every command ----


@pytest.mark.slow
def test_a_source_in_one_file_is_swept_exported_confirmed_and_retrained(folder, capsys, forget):
    code = folder / "place" / "images_of_mine.py"
    code.parent.mkdir()
    code.write_text(SOURCE)
    (folder / "place" / "space.toml").write_text(SPACE)
    threads = ["--threads", "1"]
    commands = [
        ["check", "place/space.toml"],
        ["run", "place/space.toml", *RUN[2:]],
        ["confirm", "mine", "--top", "1", "--seeds", "1", *threads],
        ["export", "mine", "--top", "1", "--out", "configs"],
    ]
    for command in commands:
        forget()
        capsys.readouterr()
        assert main(command) == 0
        if command[0] == "check":  # compares the images of all parts
            (folder / "read").unlink()
        said = f"this runs your code: images_of_mine:load ({folder / 'place'})"
        assert (said in capsys.readouterr().out) == (command[0] != "export")
    assert not (folder / "read").exists()  # the test part
    digests = {trial["user_attrs"]["code"] for trial in read_trials(folder / "studies", "mine")}
    (file,) = (folder / "configs").glob("*.toml")
    config, provenance = read_config(file)
    assert config.data.options["seed"] == 3
    assert provenance.code["digest"] in digests != {""}
    for command in (["retrain", str(file), "--verify", *threads], ["train", str(file), *threads, "--out", "model"]):
        forget()
        assert main(command) == 0
    assert (folder / "read").exists()
    assert "ant" in (folder / "model" / "classes.json").read_text()
    code.write_text(SOURCE + "# edited\n")
    forget()
    capsys.readouterr()
    assert main(["run", "place/space.toml", *RUN[2:]]) == 0
    assert f"it was {digests.pop()}" in capsys.readouterr().out
    code.write_text(SOURCE.replace("(0, 60", "(0, 61"))
    forget()
    assert main(["run", "place/space.toml", *RUN[2:]]) == 2
    assert "data_hash was" in capsys.readouterr().err


@pytest.mark.slow
def test_workers_read_an_installed_packages_source_and_find_the_same_images(folder, monkeypatch, capsys):
    site = folder / "site"
    (site / "images_of_mine-1.0.dist-info").mkdir(parents=True)
    (site / "images_of_mine.py").write_text(SOURCE)
    (site / "images_of_mine-1.0.dist-info" / "METADATA").write_text("Name: images-of-mine\nVersion: 1.0\n")
    points = "[sweep.sources]\nbees = images_of_mine:load\n"
    (site / "images_of_mine-1.0.dist-info" / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(site)
    (folder / "space.toml").write_text(SPACE.replace("images_of_mine:load", "bees"))
    assert main([*RUN, "--workers", "1"]) == 0
    assert "this runs your code: images_of_mine:load" in capsys.readouterr().out
    assert [trial["state"] for trial in read_trials(folder / "studies", "mine")] == ["COMPLETE"] * 2
    assert main(["run", "space.toml", "--set", "data.name=bee"]) == 2
    assert "bees" in capsys.readouterr().err


@pytest.mark.slow
def test_images_that_differ_from_call_to_call_are_refused(folder, capsys):
    (folder / "images_of_mine.py").write_text(SOURCE.replace("default_rng(seed)", "default_rng()"))
    assert main([*RUN, "--workers", "1"]) == 2
    said = capsys.readouterr().err
    assert "data.name: images_of_mine:load: " in said
    assert "each call" in said
    (folder / "config.toml").write_text(SPACE.partition("[sampler]")[0].replace('[study]\nname = "mine"\n', ""))
    assert main(["train", "config.toml", "--threads", "1"]) == 2
    assert "each call" in capsys.readouterr().err


@pytest.mark.slow
def test_a_builder_and_a_source_are_both_known(folder, capsys):
    (folder / "images_of_mine.py").write_text(SOURCE)
    (folder / "images_of_mine_models.py").write_text(
        "import keras\ndef build(image_shape, num_classes):\n"
        "    return keras.Sequential([keras.Input(image_shape), keras.layers.Flatten(),"
        " keras.layers.Dense(num_classes, 'softmax')])\n"
    )
    model = '[model]\nbuilder = "images_of_mine_models:build"\n'
    before, _, after = SPACE.partition('[model]\nfamily = "mlp"\nhidden_units = [8]\n')
    (folder / "space.toml").write_text(before + model + after)
    assert main(RUN) == 0
    said = capsys.readouterr().out
    assert all(f"this runs your code: images_of_mine{one} ({folder})" in said for one in (":load", "_models:build"))
    assert main(["report", "mine", "--out", "page.html"]) == 0
    page = (folder / "page.html").read_text()
    assert "images_of_mine_models:build, images_of_mine:load" in page


def test_code_cannot_vary(folder, capsys):
    varied = SPACE.replace("data.options.size", "data.name").replace("[6, 7]", '["digits", "images_of_mine:load"]')
    (folder / "space.toml").write_text(varied.replace('name = "images_of_mine:load"\n', ""))
    assert main(["check", "space.toml", "--set", "data.options="]) == 2
    assert "data.name: a custom data source cannot vary" in capsys.readouterr().err


# ---- what it gives ----

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 4, 5), dtype=np.uint8)
LABELS = np.arange(60) % 3
GIVEN = {}  # what the source of this module gives


def source(path=None, **options):
    given = GIVEN["it"]
    return given(**options) if callable(given) else given


def given(it, **data):
    GIVEN["it"] = it
    return DataConfig(name=f"{__name__}:source", **data)


def raises(error):
    def load(**_):
        raise error

    return load


WRONG = {
    "nothing": (None, "NoneType"),
    "one array": (IMAGES, "ndarray"),
    "images and labels alone": ((IMAGES, LABELS), "tuple"),
    "no train part": (Arrays(train=None), "no training images"),
    "three arrays": (Arrays(train=(IMAGES, LABELS, LABELS)), "train"),
    "a part that is an array": (Arrays(train=IMAGES), "ndarray"),
    "other lengths": (Arrays(train=(IMAGES, LABELS[:9])), "(9,)"),
    "scalars": (Arrays(train=(1, 2)), "()"),
    "flat images": (Arrays(train=(IMAGES.reshape(60, 20), LABELS)), "20)"),
    "no images": (Arrays(train=(IMAGES[:0], LABELS[:0])), "0 images"),
    "images of several sizes": (Arrays(train=([IMAGES[0], IMAGES[1, :2]], [0, 1])), "ValueError"),
    "texts as images": (Arrays(train=(IMAGES.astype(str), LABELS)), "numbers"),
    "objects": (Arrays(train=(np.array([{}] * 60), LABELS)), "object"),
    "NaN": (Arrays(train=(np.where(IMAGES > 99, np.nan, 1.0), LABELS)), "NaN"),
    "labels that are fractions": (Arrays(train=(IMAGES, LABELS / 2)), "0.5"),
    "one class": (Arrays(train=(IMAGES, LABELS * 0)), "two classes"),
    "validation images of another kind": (Arrays((IMAGES, LABELS), (IMAGES / 255, LABELS)), "float64"),
    "validation images of another shape": (Arrays((IMAGES, LABELS), (IMAGES[:, 1:], LABELS)), "(3, 5)"),
    "too few names": (Arrays((IMAGES, LABELS), class_names=["a", "b"]), "class_names"),
    "a name twice": (Arrays((IMAGES, LABELS), class_names=["a", "b", "b"]), "class_names"),
    "names that are no texts": (Arrays((IMAGES, LABELS), class_names=[1, 2, 3]), "class_names"),
    "names that are a number": (Arrays((IMAGES, LABELS), class_names=3), "class_names"),
    "a function that raises": (raises(OSError("no such\nfolder")), "OSError: no such folder"),
    "a function that exits": (raises(SystemExit(0)), "SystemExit"),
    "a part that raises": (Arrays(train=raises(MemoryError())), "MemoryError"),
    "a part that reads an array": (Arrays(train=lambda: IMAGES), "ndarray"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_data_is_one_line_that_names_the_source(case):
    it, shown = WRONG[case]
    with pytest.raises(DataError) as caught:
        load(given(it))
    assert str(caught.value).startswith(f"data.name: {__name__}:source: ")
    assert shown in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("test", "shown"),
    [
        ((IMAGES / 255, LABELS), "float64"),
        ((IMAGES, LABELS + 1), "3"),
        (raises(OSError("gone")), "gone"),
        ((IMAGES,), "test"),
    ],
)
def test_a_wrong_test_part_is_one_line_when_it_is_needed_and_not_before(test, shown):
    config = given(Arrays(train=(IMAGES, LABELS), test=test))
    assert len(load(config).y_train) == 48
    with pytest.raises(DataError, match=f"^data.name: {__name__}:source: ") as caught:
        load_raw_test(config)
    assert shown in str(caught.value)


@pytest.mark.parametrize(
    "it",
    [
        Arrays(train=(IMAGES, LABELS), test=(IMAGES[:9], LABELS[:9])),
        Arrays(train=lambda: (IMAGES, LABELS), test=lambda: [IMAGES[:9].tolist(), LABELS[:9].tolist()]),
        ((IMAGES, LABELS[:, None]), (IMAGES[:9], LABELS[:9, None])),  # as keras.datasets.cifar10.load_data
    ],
)
def test_forms_that_are_read(it, tmp_path):
    config = given(it)
    np.savez(tmp_path / "same.npz", x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:9], y_test=LABELS[:9])
    same = DataConfig(name="npz", path=str(tmp_path / "same.npz"))
    assert load(config).content_hash == load(same).content_hash
    np.testing.assert_array_equal(load(config).x_train, load(same).x_train)
    np.testing.assert_array_equal(load_raw_test(config)[0], IMAGES[:9])


def test_names_are_of_the_class_numbers_and_not_each_has_to_occur():
    dataset = load(given(Arrays((IMAGES, LABELS * 2), class_names=["ant", "bee", "cat", "dog", "eel", "fox"])))
    assert dataset.class_names == ("ant", "cat", "eel")
    assert {*dataset.y_train.tolist()} == {0, 1, 2}


def test_arrays_of_the_users_are_never_written_to_and_a_test_part_split_off_them_is_no_part_of_the_rest(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    images = np.load(tmp_path / "images.npy", mmap_mode="r+")
    config = given(Arrays(train=(images, LABELS)))
    test, labels = load_raw_test(config)
    np.testing.assert_array_equal(images, IMAGES)
    assert len(labels) == 12
    rows = {image.tobytes() for image in load(config).images[..., 0]}
    assert not rows & {image.tobytes() for image in test}


def test_a_process_with_other_images_is_told(tmp_path):
    config = given(Arrays(train=(IMAGES, LABELS)))
    check_content(config, load(config).content_hash)
    with pytest.raises(DataError, match=f"{__name__}:source: "):
        check_content(config, "another")


# ---- what it is called with ----


def needs(size, path=None):
    return Arrays(train=(IMAGES[:, :size], LABELS))


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"name": f"{__name__}:needs"}, "options.size"),
        ({"name": f"{__name__}:needs", "options": {"sice": 3}}, 'did you mean "options.size"'),
        ({"name": f"{__name__}:IMAGES"}, "ndarray"),
        ({"name": f"{__name__}:nothing"}, f"{__name__}:nothing"),
        ({"name": "no_such_module:load"}, "no_such_module"),
    ],
)
def test_a_call_that_cannot_be_is_one_line(data, shown):
    with pytest.raises((DataError, SpaceError), match=r"^data\.name: ") as caught:
        load(DataConfig(**data))
    assert shown in str(caught.value)


def test_options_and_path_are_its_arguments():
    data = {"name": f"{__name__}:needs", "options": {"size": 3}}
    assert load(DataConfig(**data, path="x")).image_shape == (3, 5, 1)
    assert load(DataConfig(**{**data, "options": {"size": 2}})).image_shape == (2, 5, 1)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"name": "digit"}, 'data.name: .*did you mean "digits"'),
        ({"name": "my images"}, "data.name: .*module:attribute"),
        ({"options": {"size": 3}}, "data: options.size"),
        ({"name": "npz", "path": "x", "options": {"path": "y"}}, "data: options.path"),
        ({"name": "a:b", "options": {"size": {1, 2}}}, "data.options: .*JSON"),
    ],
)
def test_a_wrong_section_is_one_line_and_runs_nothing(data, shown):
    with pytest.raises(SpaceError, match=shown):
        TrialConfig.from_values({"data": data}, "test")


def test_a_config_without_options_is_written_as_before():
    assert "options" not in TrialConfig().values()["data"]
    config = TrialConfig.from_values({"data": {"name": "a:b", "options": {"c": [1, {"d": 2}]}}}, "test")
    assert TrialConfig.from_values(config.values(), "test") == config
    assert hash(config.data) == hash(TrialConfig.from_values(config.values(), "test").data)
