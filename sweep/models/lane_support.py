"""What of a config the packed engine cannot train as lanes of one program."""

from collections.abc import Iterable

from sweep.config.trial import TrialConfig
from sweep.models.family import family_of


def without_lanes(config: TrialConfig) -> str | None:
    """Return what keeps the config from sharing a program with others.

    Args:
        config: The config of one run.

    Returns:
        The family or the builder of its model, or the section `augmentation`; None if lanes can train it.

    """
    if family_of(config.model).kernel is None:
        return config.model.user_code or config.model.family
    return "augmentation" if config.augmentation.is_on else None


def all_without_lanes(configs: Iterable[TrialConfig]) -> tuple[str, ...]:
    """Return what `without_lanes` names for these configs, each once."""
    return tuple(dict.fromkeys(name for name in map(without_lanes, configs) if name is not None))
