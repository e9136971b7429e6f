"""One rule for names: ours, those of installed packages, and the user's own."""

import sys

import pytest

from sweep.errors import SpaceError
from sweep.plugins.registry import Registry

COLOURS = Registry("colour", "picture.colour", "sweep.colours", {"red": "colorsys:rgb_to_hsv"})


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package that offers a colour that works, one that does not, and one under a name of ours."""
    (tmp_path / "paint.py").write_text("def green(): return 1\n")
    info = tmp_path / "paint-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: paint\nVersion: 1.0\n")
    points = "[sweep.colours]\ngreen = paint:green\nred = paint:green\nbroken = paint:blue\n"
    (info / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(tmp_path)
    yield Registry(**{name: getattr(COLOURS, name) for name in ("kind", "key", "group", "built_in")})
    sys.modules.pop("paint", None)


def test_ours_and_the_users_own_are_found_by_name():
    import colorsys

    assert COLOURS.get("red") is colorsys.rgb_to_hsv
    assert COLOURS.get("colorsys:hsv_to_rgb") is colorsys.hsv_to_rgb
    assert COLOURS.code_of("red") is None
    assert COLOURS.code_of("colorsys:hsv_to_rgb") == "colorsys:hsv_to_rgb"


def test_an_installed_package_adds_a_name_and_never_replaces_one_of_ours(installed):
    import colorsys

    assert installed.names() == ["red", "broken", "green"]
    assert installed.get("green")() == 1
    assert installed.code_of("green") == "paint:green"
    assert installed.get("red") is colorsys.rgb_to_hsv


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        ("redd", ["picture.colour", '"redd"', "red", "green"]),
        ("broken", ["picture.colour", "paint", "blue"]),
        ("colorsys:nothing", ["picture.colour", "colorsys:nothing"]),
        ("no_such_module:green", ["picture.colour", "no_such_module"]),
        ("a:b:c", ["picture.colour", "a:b:c"]),
        (":", ["picture.colour"]),
    ],
)
def test_a_name_that_stands_for_nothing_is_one_line_with_the_key(installed, name, facts):
    with pytest.raises(SpaceError) as caught:
        installed.get(name)
    assert all(fact in str(caught.value) for fact in facts)
    assert "\n" not in str(caught.value)
