"""What of a config the packed engine cannot train as lanes of one program."""

from collections.abc import Iterable

from sweep.config.trial import TrialConfig
from sweep.models.family import family_of

NOT_IN_LANES = ("augmentation", "fine_tuning")  # sections of a config


def without_lanes(config: TrialConfig) -> str | None:
    """Return what keeps the config from sharing a program with others.

    Args:
        config: The config of one run.

    Returns:
        The family or the builder of its model, or a section of the config; None if lanes can train it.

    """
    if family_of(config.model).kernel is None:
        return config.model.user_code or config.model.family
    return next((section for section in NOT_IN_LANES if getattr(config, section).is_on), None)


def all_without_lanes(configs: Iterable[TrialConfig]) -> tuple[str, ...]:
    """Return what `without_lanes` names for these configs, each once."""
    return tuple(dict.fromkeys(name for name in map(without_lanes, configs) if name is not None))
