"""Hostile space files, config files and study names, each with the command lines that it is given to."""

import os
from collections.abc import Callable
from pathlib import Path

Commands = list[list[str]]
FAKE = ("--engine", "fake", "--trials", "2", "--quiet")
STUDY = 'study = { name = "hostile" }\ntraining = { epochs = 2 }\n'
READERS = [["list"], ["show", "hostile"], ["show", "hostile", "0"], ["report", "hostile"], ["export", "hostile"]]
READERS += [["show", "hostile", "--csv"], ["show", "hostile", "--json"]]
HTML = "<script>alert(1)</script><img src=x onerror=alert(1)>"
FORMULA = "=cmd|' /C calc'!A0"


def space(content: str | bytes) -> Callable[[Path], Commands]:
    """A space file that is checked and run; what came of it is shown, reported and exported."""

    def make(path: Path) -> Commands:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return [["run", str(path), *FAKE], *READERS, ["check", str(path), "--samples", "1"]]

    return make


def varied(*lines: str, name: str = "x", before: str = "") -> Callable[[Path], Commands]:
    """A space of one parameter with these lines."""
    return space(f"{STUDY}{before}\n[space.{name}]\n" + "\n".join(lines))


def config(content: str) -> Callable[[Path], Commands]:
    """A config file that is trained."""

    def make(path: Path) -> Commands:
        path.write_text(content)
        return [["retrain", str(path)], ["train", str(path)], ["retrain", str(path), "--verify"]]

    return make


def special(create: Callable[[Path], object]) -> Callable[[Path], Commands]:
    """Something else than a file under its name."""

    def make(path: Path) -> Commands:
        create(path)
        return [["check", str(path)], ["run", str(path), *FAKE], ["retrain", str(path)]]

    return make


def flags(*arguments: str) -> Callable[[Path], Commands]:
    """A good space with these flags."""

    def make(path: Path) -> Commands:
        path.write_text(STUDY)
        return [["run", str(path), *FAKE, *arguments], *READERS]

    return make


def beside_a_module(path: Path) -> Commands:
    """A good space beside a file that Python would take for a library that is imported later."""
    (path.parent / "pandas.py").write_text("open('canary', 'w')\n")
    path.write_text(STUDY)
    return [["run", str(path), *FAKE], *READERS]


def in_odd_folder(path: Path) -> Commands:
    """A good space whose data lies in a folder whose name is no text."""
    folder = path.parent / "\udcff"
    folder.mkdir()
    return space(f'{STUDY}data = {{ name = "npz", path = "x.npz" }}')(folder / "space.toml")


def npz_of(kind: str) -> Callable[[Path], Commands]:
    """A good space on images of a strange kind."""

    def make(path: Path) -> Commands:
        import numpy as np

        images, labels = np.zeros((40, 8, 8)), np.arange(40) % 2
        arrays = {
            "labels up to 2**62": {"x": images, "y": labels * 2**62},
            "objects": {"x": images.astype(object), "y": labels},
            "text": {"x": images.astype(str), "y": labels},
            "records": {"x": np.zeros((40, 8, 8), "f4,i4"), "y": labels},
            "one number": {"x": np.float64(1), "y": np.int64(1)},
            "nothing": {"x": images[:0], "y": labels[:0]},
        }[kind]
        np.savez(path.with_name("images.npz"), **arrays)
        path.write_text(STUDY + 'data = { name = "npz", path = "images.npz" }\n')
        return [["run", str(path), *FAKE], *READERS]

    return make


def many(count: int, line: str, before: str = "") -> str:
    """Parameters of an own builder, which may have any name."""
    parameters = "".join(f'[space.p{i}]\nkey = "model.options.o{i}"\n{line}\n' for i in range(count))
    return f'{STUDY}model = {{ builder = "keras:Model" }}\n{before}\n{parameters}'


def conditions(count: int) -> str:
    """Each of these has sixty choices, and all of them let the next one be asked for."""
    choices = [*range(60)]
    start = [f"[space.p{i}]\ntype = 'categorical'\nchoices = {choices}" for i in range(count)]
    when = ["", *(f"when = {{ p{i - 1} = {choices} }}" for i in range(1, count))]
    last = f'[space.x]\nkey = "optimizer.momentum"\n{RANGE}\nwhen = {{ p{count - 1} = 1 }}\n'
    return STUDY + "\n".join(f"{one}\n{two}" for one, two in zip(start, when, strict=True)) + f"\n{last}"


DIGITS = 'type = "int"\nlow = 0\nhigh = 99'
RANGE = 'type = "float"\nlow = 0.0\nhigh = 0.9'
MOMENTUM = ('key = "optimizer.momentum"', RANGE)
FILES: dict[str, Callable[[Path], Commands]] = {
    "empty": space(""),
    "only a byte order mark": space(b"\xef\xbb\xbf"),
    "byte order mark and a good file": space(b"\xef\xbb\xbf" + STUDY.encode()),
    "UTF-16": space(STUDY.encode("utf-16")),
    "not UTF-8": space(b'study = { name = "\xff\xfe" }'),
    "NUL": space(b'study = { name = "a\x00b" }'),
    "NUL written as an escape": space('study = { name = "a\\u0000b" }'),
    "a surrogate": space('study = { name = "\\ud800" }'),
    "control characters": varied(*MOMENTUM, name='"\\u001b]0;owned\\u0007"'),
    "a section named in two lines": space(f'{STUDY}["a\\nb"]\nc = 1'),
    "a key that a terminal obeys": space(f'{STUDY}[data]\n"\\u001b[2J" = 1'),
    "an option that a terminal obeys": space(f'{STUDY}model = {{ builder = "a:b", options = {{ o = "\\u001b[2J" }} }}'),
    "binary": space(bytes(range(256)) * 40),
    "2 MB": space("#" + " " * 2**21),
    "YAML": space("study:\n  name: !!python/object/apply:os.system ['touch canary']\n"),
    "a YAML tag as a value": space('study = { name = "!!python/object/apply:os.system" }'),
    "YAML tags in strings": varied(
        'key = "model.options.o"', 'type = "categorical"', 'choices = ["!!python/name:os.system"]',
        before='model = { builder = "keras:Model" }',
    ),
    "JSON": space('{"study": {"name": "x"}}'),
    "lists nested deep": space("a = " + "[" * 100_000),
    "tables nested deep": space(f"{STUDY}[model.options{'.a' * 20_000}]\nx = 1"),
    "inline tables nested deep": space(f"{STUDY}model = {'{ options = ' * 3000}"),
    "a key twice": space(f"{STUDY}[data]\nsplit_seed = 1\nsplit_seed = 2"),
    "a section twice": space(f"{STUDY}[data]\n[data]"),
    "a path upwards as a name": space('study = { name = "../../x" }'),
    "an absolute path as a name": space('study = { name = "/tmp/x" }'),
    "HTML as a name": space(f'study = {{ name = "{HTML}" }}'),
    "300 characters as a name": space(f'study = {{ name = "{"a" * 300}" }}'),
    "a name of dots": space('study = { name = ".." }'),
    "a number as a name": space("study = { name = 1e999 }"),
    "data from a path upwards": space(f'{STUDY}data = {{ name = "npz", path = "../../../../etc/passwd" }}'),
    "data from a device": space(f'{STUDY}data = {{ name = "npz", path = "/dev/zero" }}'),
    "data from a folder": space(f'{STUDY}data = {{ name = "npz", path = "/" }}'),
    "data from NUL": space(f'{STUDY}data = {{ name = "npz", path = "a\\u0000b" }}'),
    "data from an unknown home": space(f'{STUDY}data = {{ name = "npz", path = "~nobody-of-that-name/x" }}'),
    "data from 5000 characters": space(f'{STUDY}data = {{ name = "npz", path = "{"a" * 5000}" }}'),
    "data from a URL": space(f'{STUDY}data = {{ name = "npz", path = "http://127.0.0.1:9/x.npz" }}'),
    **{f"images: {kind}": npz_of(kind) for kind in ("labels up to 2**62", "objects", "text", "records", "one number")},
    "images: nothing": npz_of("nothing"),
    "1e999": varied('key = "regularizer.l2"', 'type = "float"', "low = 0", "high = 1e999"),
    "nan": varied('key = "regularizer.l2"', 'type = "float"', "low = nan", "high = 1"),
    "the widest range": varied('key = "regularizer.l2"', 'type = "float"', "low = -1e308", "high = 1e308"),
    "10**400": varied('key = "training.batch_size"', 'type = "int"', "low = 1", f"high = 1{'0' * 400}"),
    "5000 digits": space(f"{STUDY}data = {{ num_train = {'9' * 5000} }}"),
    "20000 hexadecimal digits": space(f"{STUDY}data = {{ num_train = 0x{'f' * 20_000} }}"),
    "2**63": space(f"{STUDY}data = {{ num_train = {2**63} }}"),
    "a whole number that no float holds": varied('key = "training.seed"', 'type = "int"', "low = 0", f"high = {2**60}"),
    "a split of billions": space(f"{STUDY}data = {{ num_train = {2**31 - 1} }}"),
    "choices beyond 64 bits": varied('key = "training.seed"', 'type = "categorical"', f"choices = [{2**70}]"),
    "a step that never ends": varied(
        'key = "regularizer.l2"', 'type = "float"', "low = 0", "high = 1e300", "step = 1e-300"
    ),
    "a grid of billions": varied(
        'key = "training.seed"', 'type = "int"', "low = 0", f"high = {2**31 - 1}", before='sampler = { name = "grid" }'
    ),
    "a grid of grids": space(many(30, DIGITS, 'sampler = { name = "grid" }')),
    "brute force without end": space(many(30, DIGITS, 'sampler = { name = "brute_force" }')),
    "10,000 parameters": space(many(10_000, RANGE)),
    "5,000 parameters of one key": space(many(5000, RANGE).replace("options.o", "options.o # ")),
    "150 parameters": space(many(150, RANGE)),
    "50,000 choices": varied('key = "training.seed"', 'type = "categorical"', f"choices = {[*range(50_000)]}"),
    "4,500 choices of five parameters": space(
        many(5, f"type = 'categorical'\nchoices = {[*range(900)]}")
    ),
    "conditions on conditions": space(conditions(12)),
    "filters without end": varied(f'key = "model.filters.{"9" * 5000}"', 'type = "int"', "low = 1", "high = 2"),
    "filters of superscript digits": varied('key = "model.filters.²"', 'type = "int"', "low = 1", "high = 2"),
    "a date": space(f"{STUDY}training = {{ seed = 1979-05-27 }}"),
    "a date as an option": space(f'{STUDY}sampler = {{ name = "partial_fixed", fixed_params = {{ x = 1979-05-27 }} }}'),
    "a time as a choice": varied('key = "optimizer.momentum"', 'type = "categorical"', "choices = [07:32:00]"),
    "HTML as a parameter's name": varied(*MOMENTUM, name=f'"{HTML}"'),
    "markup as a parameter's name": varied(*MOMENTUM, name='"[/red][link=http://evil.example]"'),
    "lines in a parameter's name": varied(*MOMENTUM, name='"a\\nb"'),
    "a formula as a parameter's name": varied(*MOMENTUM, name=f'"{FORMULA}"'),
    "300 characters as a parameter's name": varied(*MOMENTUM, name="a" * 300),
    "no character as a parameter's name": varied(*MOMENTUM, name='""'),
    "a path as a parameter's name": varied(*MOMENTUM, name='"../../x"'),
    "writing turned round in a parameter's name": varied(*MOMENTUM, name='"\\u202etxet"'),
    "a look-alike of a key": varied('key = "\u043eptimizer.momentum"', RANGE),
    "an attribute of Python as a key": varied('key = "model.__class__"', RANGE),
    "an attribute of Python as a section": space(f"{STUDY}[__class__]\nx = 1"),
    "HTML and formulas as choices": varied(
        'key = "model.options.o"', 'type = "categorical"',
        f'choices = ["{HTML}", "{FORMULA}", "@SUM(1)", "+1", "%s%n"]',
        before='model = { builder = "keras:Model" }',
    ),
    "code as a builder": space(f"{STUDY}model = {{ builder = \"__import__('os').system('touch canary')\" }}"),
    "a command as a builder": space(f'{STUDY}model = {{ builder = "os:system; touch canary" }}'),
    "code as a key": varied("key = \"__import__('os').system('touch canary')\"", RANGE),
    "code as a sampler": space(f'{STUDY}sampler = {{ name = "os.system" }}'),
    "a sampler's private option": space(f'{STUDY}sampler = {{ name = "tpe", gamma = "os.system" }}'),
    "billions of a sampler's candidates": space(f'{STUDY}sampler = {{ name = "tpe", n_ei_candidates = {2**62} }}'),
    "beside a module": beside_a_module,
    "a folder": special(lambda path: path.mkdir()),
    "a pipe": special(lambda path: os.mkfifo(path)),
    "a device": special(lambda path: path.symlink_to("/dev/zero")),
    "a link to itself": special(lambda path: path.symlink_to(path)),
    "not there": special(lambda path: None),
    "a config of another study's folder": config('[provenance]\nstudy = "../../x"\n'),
    "a config whose provenance is text": config('provenance = "../../x"\n'),
    "a config of absolute path": config('[provenance]\nstudy = "/tmp/x"\n'),
    "a config that is a space": config(STUDY),
    "a config with NUL": config('[data]\nname = "npz"\npath = "\\u0000"\n'),
    "--set without end": flags("--set", f"training.seed={'9' * 5000}"),
    "--set of nested lists": flags("--set", f"model.options.x={'[' * 5000}"),
    "--set that is no text": flags("--set", "data.path=\udcff"),
    "a name that is no text": lambda path: space(STUDY)(path.with_name("\udcff.toml")),
    "data from a folder that is no text": in_odd_folder,
    "--set with NUL": flags("--set", 'data.path="\\u0000"'),
    "--sampler of a path": flags("--sampler", "../../x"),
    "--storage of a folder": flags("--storage", "sqlite:////"),
    "--storage of a device": flags("--storage", "sqlite:////dev/null"),
}  # fmt: skip

NAMES = {
    f"study name {name[:20]!r}": name
    for name in (
        "..", ".", "", " ", "-rf", "--help", "a/b", "/tmp/x", "../x", "..\\x", "CON", "NUL.toml", "~", "*", "a b",
        "a\nb", "a\x00b", "\x1b[2J", HTML, FORMULA, "a" * 101, "a" * 300, "a" * 100_000, "stud\u0443", "\uff53tudy",
        "\u202eydut", "$(touch canary)", "`touch canary`", "; touch canary", "%s%n", "'; DROP TABLE studies; --",
        "\udcff", "name\ufeff",
    )
}  # fmt: skip
