"""Try a sampler and a pruner with the user's options on an in-memory study, before the real one is created.

Optuna checks many options only when it uses them first: after the startup trials, or at a report.
"""

import warnings

import optuna

from sweep.errors import SpaceError
from sweep.space.space import Space
from sweep.text import error_line
from sweep.tuning.pruners import PRUNERS
from sweep.tuning.samplers import SAMPLERS, SamplerFactory

NUM_TRIALS = 12  # TPE's startup trials and two more
NUM_EPOCHS = 4


def rehearse(space: Space, samplers: SamplerFactory, pruner: optuna.pruners.BasePruner) -> None:
    """Sample and prune trials of an in-memory study, so that a failing sampler or pruner is found before training.

    Nothing is tried for Optuna's own classes with default options.

    Args:
        space: The space.
        samplers: Makes the sampler of each trial.
        pruner: The pruner.

    Raises:
        SpaceError: The sampler or the pruner raises.
    """
    is_ours = space.sampler.name in SAMPLERS and space.pruner.name in PRUNERS
    if is_ours and not space.sampler.options and not space.pruner.options:
        return
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(storage=storage, directions=space.directions, pruner=pruner, sampler=samplers(0))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for number in range(NUM_TRIALS):
                _rehearse_trial(study, storage, space, samplers, number)
    except Exception as error:
        problem = error_line(error)
        raise SpaceError(f"{space.source}: sampler or pruner: it fails with these options: {problem}") from None


def _rehearse_trial(
    study: optuna.Study,
    storage: optuna.storages.BaseStorage,
    space: Space,
    samplers: SamplerFactory,
    number: int,
) -> None:
    study.sampler = samplers(number)
    trial = study.ask()
    space.suggest(trial)
    num_epochs = NUM_EPOCHS if len(space.directions) == 1 else 0  # of several objectives Optuna takes no report
    for step in range(num_epochs):
        trial.report(0.1 * step + 0.01 * number, step)
        if trial.should_prune():
            break
    # study.tell is not used, as a sampler may call study.stop in it, which raises outside study.optimize
    values = [0.01 * number for _ in space.directions]
    storage.set_trial_state_values(number, optuna.trial.TrialState.COMPLETE, values)  # in memory, ids are numbers
