"""Store settings with a plain Optuna study, so that trials of `sweep.Objective` can be exported and confirmed."""

import os
from importlib.metadata import version

import optuna

from sweep.config.study_settings import SETTINGS, StudySettings, read_settings
from sweep.engines.devices import device_in_use
from sweep.errors import StudyError
from sweep.plugins.user_code import code_of
from sweep.space.space import Space
from sweep.tuning.probing import VERSIONS_OF, summarize_data


def check_directions(study: optuna.Study, space: Space) -> None:
    """Raise StudyError if the directions of the study are not those of the space's metrics."""
    directions = [direction.name.lower() for direction in study.directions]
    if directions != [*space.directions]:
        raise StudyError(
            f"study {study.study_name} has directions {directions}, but {space.source} says {space.goal}; "
            f"create it with directions={[*space.directions]}"
        )


def describe_study(study: optuna.Study, space: Space, seed: int) -> bool:
    """Store the settings that decide the study's trials, as `sweep run` does.

    Args:
        study: A study in any storage.
        space: The space, with an explicit precision.
        seed: Seed of weights and minibatches.

    Returns:
        Whether the study has these settings; False if it has others, which are not changed.
    """
    settings = _settings(space, seed)
    if SETTINGS not in study.user_attrs:
        study.set_user_attr(SETTINGS, settings.record())
        study.set_user_attr("metric", space.metrics[0])
        return True
    try:
        read_settings(study.user_attrs, study.study_name).check_same(settings, study.study_name)
    except StudyError:
        return False
    return True


def _settings(space: Space, seed: int) -> StudySettings:
    """Return the settings of trials that `sweep.Objective` trains in this process."""
    data, device = summarize_data(space), device_in_use()
    return StudySettings(
        space=space.record(),
        sampler=space.sampler.model_dump(),
        pruner=space.pruner.record(),
        seed=seed,
        data_hash=data.content_hash,
        engine="sequential",
        num_lanes=1,
        threads=os.cpu_count() or 1,
        device=device.kind,
        keras_backend=device.keras_backend,
        classes=data.classes,
        onednn=device.onednn,
        versions={package: version(package) for package in VERSIONS_OF},
        command="study.optimize(sweep.Objective(...))",
        distinct=False,
        code=code_of(*space.user_code) if space.user_code else None,
    )
