"""Steps of reports, and the epochs or runs that people count.

A trial reports its epoch 1, 2, ... at step 0, 1, ..., as with Keras's callback, and in studies made before that at step
1, 2, ...; so which it is, its steps tell.
"""

from optuna.trial import FrozenTrial


def reported(trial: FrozenTrial) -> dict[int, float]:
    """The values that a trial has reported, by epoch or run from 1, in their order."""
    values = trial.intermediate_values
    shift = 1 if 0 in values else 0
    return {step + shift: values[step] for step in sorted(values)}
