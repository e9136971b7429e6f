"""The phases of a run that freezes layers: how many epochs each has, and its learning rate."""

from sweep.config.training import ScheduleConfig
from sweep.config.trial import TrialConfig


def is_second_phase(config: TrialConfig, epoch: int) -> bool:
    """Return whether frozen layers train in epoch 1, 2, ..."""
    frozen_epochs = config.fine_tuning.frozen_epochs
    return frozen_epochs is not None and epoch > frozen_epochs


def phase_epochs(config: TrialConfig, epoch: int) -> int:
    """Return the number of epochs of the phase that epoch 1, 2, ... belongs to."""
    first = min(config.fine_tuning.frozen_epochs or config.training.epochs, config.training.epochs)
    return config.training.epochs - first if is_second_phase(config, epoch) else first


def phase_schedule(config: TrialConfig, epoch: int) -> ScheduleConfig:
    """Return the schedule of the phase that epoch 1, 2, ... belongs to."""
    schedule = config.schedule
    if not is_second_phase(config, epoch):
        return schedule
    rate = schedule.initial_learning_rate * config.fine_tuning.learning_rate_factor
    return schedule.model_copy(update={"initial_learning_rate": rate})
