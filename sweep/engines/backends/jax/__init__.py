"""Keras on JAX, as `base.Backend` asks for it."""

from sweep.engines.backends.jax.device import NAME, device_in_use, set_up_device
from sweep.engines.backends.jax.lanes import LaneProgram as lane_program
from sweep.engines.backends.jax.lanes import fitted, lanes_per_call
from sweep.engines.backends.jax.steps import DIVIDES_EXACTLY, as_compiled, minibatch, put, source
from sweep.engines.backends.jax.steps import CompiledSteps as compiled_steps

__all__ = [
    "DIVIDES_EXACTLY",
    "NAME",
    "as_compiled",
    "compiled_steps",
    "device_in_use",
    "fitted",
    "lane_program",
    "lanes_per_call",
    "minibatch",
    "put",
    "set_up_device",
    "source",
]
