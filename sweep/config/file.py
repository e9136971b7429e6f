"""Config files: a `TrialConfig` as TOML, with a `[provenance]` section that says where an exported one came from.

A hand-written file is as good as an exported one; it has no provenance, and may leave out what has a default. An
exported one is whole or refused: what a full disk or an interrupted copy has left of it would train the defaults.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import Field, ValidationError

from sweep.config.families import make_families_importable
from sweep.config.keys import apply_override
from sweep.config.old_keys import with_current_keys
from sweep.config.plain_values import read_toml, resolve_path
from sweep.config.section import Section, first_problem
from sweep.config.study_name import MAX_NAME_LENGTH
from sweep.config.trial import OPTIONAL_SECTIONS, SECTIONS, TrialConfig
from sweep.errors import SpaceError
from sweep.plugins.user_code import recorded_code
from sweep.system.files import write_text

HEAD = "# Trial "  # of every exported file
FORMAT = 2  # of [provenance]; in 1 nothing marked the file's end
END = {"complete": True}


class Provenance(Section):
    """Where a config came from and what it scored there."""

    study: Annotated[str, Field(max_length=MAX_NAME_LENGTH)]  # `study_folder` makes a folder's name of it
    trial: int
    state: str
    metric: str  # that `--verify` repeats: the study's first one that is no timing
    score: float
    scores: dict[str, float] = Field(default_factory=dict)  # of every objective
    repeats: int | None = None  # `[study]` of its space
    cross_validation: int | None = None
    num_runs: int = 1  # that were scored; a pruned trial may have fewer than its space says
    num_epochs: int  # trained in the sweep, of all runs
    best_epoch: int  # whose score it is, where there is one run
    losses: list[float] = Field(default_factory=list)  # training loss of each of those epochs
    seed: int  # of the study
    engine: str
    num_lanes: int
    threads: int
    device: str
    keras_backend: str
    onednn: bool | None = None  # whether TensorFlow used it; None: as it decides by the CPU
    widest: list[list[int]] = Field(default_factory=list)  # what the packed engine pads widths to, where it must
    data_hash: str
    params: dict[str, Any]
    versions: dict[str, str]
    command: str
    code: dict[str, str] = Field(default_factory=dict)  # of the user's, that built the model: see `UserCode`
    confirmed_rank: int | None = None  # by `sweep confirm`, 1 for the best
    confirmed_mean: float | None = None  # of the metric, over so many new seeds
    confirmed_num_seeds: int | None = None


def write_config(path: Path, config: TrialConfig, provenance: Provenance) -> None:
    """Write every value of the config, defaults included, and its provenance.

    Raises:
        InputError: The file cannot be written; what was there before is still there.

    """
    scores = provenance.scores or {provenance.metric: provenance.score}
    shown = ", ".join(f"{metric} {score:.6g}" for metric, score in scores.items())
    head = f"{HEAD}{provenance.trial} of study {provenance.study}: {shown}\n"
    if provenance.confirmed_mean is not None:
        seeds = f"{provenance.confirmed_num_seeds} new seeds"
        head += f"# confirmed from {seeds}: {provenance.confirmed_mean:.6g}, rank {provenance.confirmed_rank}\n"
    head += "# sweep retrain trains it again; sweep retrain --verify repeats the run of the sweep\n\n"
    section = {"format": FORMAT, **provenance.model_dump(exclude_none=True), "end": END}
    write_text(path, head + tomli_w.dumps({**config.values(), "provenance": section}))


def read_config(path: Path, overrides: Iterable[str] = ()) -> tuple[TrialConfig, Provenance | None]:
    """The config, changed by `section.key=value` overrides, and its provenance. SpaceError if the file is wrong."""
    content = read_toml(path)
    provenance, overrides = _whole(content, path), [*overrides]
    recorded = recorded_code(provenance.get("code")) if isinstance(provenance, dict) else None
    make_families_importable(content, overrides, path.resolve().parent, Path.cwd(), recorded=recorded)
    content = with_current_keys(content, str(path))
    for override in overrides:
        apply_override(content, override, str(path))
    data = content.get("data", {})
    if isinstance(data, dict) and isinstance(data.get("path"), str):
        data["path"] = resolve_path(data["path"], path.parent, str(path))
    if {"space", "study"} & content.keys():
        raise SpaceError(f"{path}: is a space file; sweep run takes it, sweep export writes configs from its study")
    try:
        config = TrialConfig.from_values(content, str(path))
        return config, None if provenance is None else Provenance.model_validate(provenance)
    except ValidationError as error:
        raise SpaceError(f"{path}: {first_problem(error, 'provenance')}; export it again") from None


def _whole(content: dict[str, Any], path: Path) -> Any:
    """Take out the section that `Provenance` reads. SpaceError if the file is an exported one that has lost its end."""
    provenance = content.pop("provenance", None)
    if provenance is None:
        text = path.read_text(encoding="utf-8-sig")
        is_whole = not text.startswith(HEAD) or (_has_every_section(content) and text.endswith("\n"))
    else:
        is_marked = isinstance(provenance, dict) and provenance.pop("format", None) is not None
        is_whole = not is_marked or provenance.pop("end", None) == END
    if not is_whole:
        fix = "export it again, or remove its first line if you removed [provenance] yourself"
        raise SpaceError(f"{path}: an exported file whose end is missing; {fix}")
    return provenance


def _has_every_section(content: dict[str, Any]) -> bool:
    """As an exported file of any version has, to the last key of the last one: what is left if a user removes more."""
    training = content.get("training")
    return content.keys() >= {*SECTIONS} - {*OPTIONAL_SECTIONS} and isinstance(training, dict) and "seed" in training
