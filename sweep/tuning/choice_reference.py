"""Describe the keys of `[sampler]` and `[pruner]`: names, and the arguments of Optuna's classes by its docstrings."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping

from sweep.config.reference import TYPES, KeyInfo, SectionInfo, as_toml, section_of
from sweep.space.points import NUM_VALUES
from sweep.space.space import PrunerChoice
from sweep.tuning import pruners, samplers
from sweep.tuning.choices import Choices, plain_options

NAMES = {kind.__name__: name for kind, name in TYPES.items()} | {"dict[str, Any]": "table"}
MARKUP = {r":\w+:`~?": "`", r"`([^`<]*) <[^`]*>`__": r"\1", "``": "`"}  # Sphinx's roles, links and literals -> Markdown
ADDED_OPTIONS = {
    NUM_VALUES: ("integer", "Number of values of each float that has no `step`."),
    pruners.WRAPPED: ("string or table", "Name of the pruner that it wraps, or a table with its name and options."),
}


def choice_sections() -> Iterator[SectionInfo]:
    """Yield a section for `[sampler]` and `[pruner]`, and one for each of their names."""
    yield from _sections(samplers.CHOICES, "tpe", dict.fromkeys(samplers.LISTING, NUM_VALUES))
    own = [key for key in section_of("pruner", PrunerChoice, "pruner").keys if key.key == "pruner.monitor"]
    yield from _sections(pruners.CHOICES, "none", {"patient": pruners.WRAPPED}, own)


def _sections(
    choices: Choices, default: str, added: Mapping[str, str], own: Iterable[KeyInfo] = ()
) -> Iterator[SectionInfo]:
    kind = choices.kind
    allowed = f"{', '.join(map(as_toml, choices.classes))}, module:Class"
    name = KeyInfo(f"{kind}.name", "string", allowed, as_toml(default), f"Optuna's {kind}, or a class of your own.", ())
    yield SectionInfo(kind, f"The {kind} of a study; the other keys are arguments of its class.", (name, *own))
    for short, used in choices.classes.items():
        optunas = next(one for one in used.__mro__ if one.__module__.startswith("optuna."))
        keys = [_option(choices, short, optunas, *option) for option in plain_options(used, choices.reserved).items()]
        if short in added:
            type_name, meaning = ADDED_OPTIONS[added[short]]
            keys.append(KeyInfo(f"{kind}.{added[short]}", type_name, "", "none", meaning, ()))
        yield SectionInfo(f"{kind}.{short}", f"`optuna.{kind}s.{optunas.__name__}`", tuple(keys))


def _option(choices: Choices, short: str, optunas: type, name: str, kinds: list[str]) -> KeyInfo:
    default = inspect.signature(optunas.__init__).parameters[name].default  # type: ignore[misc]
    shown = "" if default is inspect.Parameter.empty else as_toml(default)
    meaning = _first_sentence(inspect.getdoc(optunas) or "", name) or f"Argument of `{optunas.__name__}`."
    return KeyInfo(f"{choices.kind}.{name}", " or ".join(NAMES[kind] for kind in kinds), "", shown, meaning, ())


def _first_sentence(doc: str, argument: str) -> str:
    """Return the first sentence on an argument in an Optuna docstring; "" if there is none.

    >>> _first_sentence("Args:\\n    seed:\\n        Seed for :class:`~numpy.random`. More.\\n", "seed")
    'Seed for `numpy.random`.'
    """
    found = re.search(rf"^ +{argument}:\s*\n((?: {{8}}.*\n?)+)", doc, re.MULTILINE)
    text = " ".join(found[1].split()) if found is not None else ""
    for markup, plain in MARKUP.items():
        text = re.sub(markup, plain, text)
    return re.split(r"(?<=\.)\s", text)[0]
