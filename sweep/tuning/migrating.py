"""Forks a study into one of another space: what differs, and which trials the new study takes over."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from sweep.config.study_settings import StudySettings, flat
from sweep.errors import StudyError
from sweep.plugins.user_code import code_of
from sweep.space.space import Space
from sweep.storage import back_up, study_lock
from sweep.tuning.adopting import is_there
from sweep.tuning.probing import check_names, code_line, source_line, summarize_data
from sweep.tuning.study import open_study
from sweep.tuning.transfer import EarlierStudy, Transfer, read_earlier, transfer


def migrate(url: str, source: str, space: Space, name: str, say: Callable[[str], None], *, dry_run: bool) -> Transfer:
    """Fork a study into a new one with another space. The old study stays as it is.

    Args:
        url: URL of the database.
        source: Name of the study.
        space: The new study's space; engine, lanes, threads and device stay those of the old study.
        name: Name of the new study.
        say: Takes each line for the user.
        dry_run: Whether to only say what would be done.

    Returns:
        What the new study takes over.

    Raises:
        StudyError: There is no such study, or there is one of the new name.
        InputError: No trial can be taken over.
    """
    earlier = read_earlier(url, source)
    for line in difference_lines(earlier, space):
        say(line)
    for notice in (source_line(space), code_line(space, workers=None, may_have_workers=False)):
        if notice is not None:
            say(notice)
    check_names(space, earlier.settings.seed)
    space, settings = _settings(earlier.settings, space)
    taken = transfer(earlier, space, settings)
    for line in taken.lines():
        say(line)
    if not dry_run:
        with study_lock(url, name):
            if is_there(url, name):
                raise StudyError(f"there is a study {name} already; choose another name with --study")
            back_up(url)
            with closing(open_study(url, name, space, settings, None, taken).write_behind):
                pass
    return taken


def difference_lines(earlier: EarlierStudy, space: Space) -> list[str]:
    """Return a line for each value that differs between the stored space and the new one."""
    before, now = flat(earlier.space.record()), flat(space.record())
    keys = [key for key in dict.fromkeys((*before, *now)) if key != "order" and before.get(key) != now.get(key)]
    changes = (f"  {key}: {before.get(key, 'absent')} -> {now.get(key, 'absent')}" for key in keys)
    return [f"{earlier.name} -> {space.source}:", *changes] if keys else [f"{earlier.name} has this space"]


def _settings(old: StudySettings, space: Space) -> tuple[Space, StudySettings]:
    """The space with what "auto" means in the old study, and the settings of the new one."""
    if old.precision in ("float32", "mixed_bfloat16"):
        space = space.with_precision("float32" if old.precision == "float32" else "mixed_bfloat16")
    data = summarize_data(space)
    return space, replace(
        old,
        space=space.record(),
        sampler=space.sampler.model_dump(),
        pruner=space.pruner.record(),
        data_hash=data.content_hash,
        classes=data.classes,
        code=code_of(*space.user_code) if space.user_code else None,
    )
