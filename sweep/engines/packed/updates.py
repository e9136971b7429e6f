"""Optimizer updates of one lane, on `keras.ops`: Keras's formulas, what a config may vary as inputs.

w weight, g gradient, r learning rate, t = 1, 2, ... the update's number; constants are Keras's defaults.

    sgd       m = mu m - r g;  w += m                            (nesterov: w += mu m - r g)
    rmsprop   v = 0.9 v + 0.1 g^2;  m = mu m + r g / sqrt(v + 1e-7);  w -= m       Hinton, lecture 6e (2012)
    adam      m += 0.1 (g - m);  v += 0.001 (g^2 - v);  w -= m a / (sqrt(v) + 1e-7),
              a = r sqrt(1 - 0.999^t) / (1 - 0.9^t)              Kingma and Ba (ICLR 2015), section 2
    adamw     w -= w lambda r, then adam                         Loshchilov and Hutter (ICLR 2019), algorithm 2
    nadam     m, v as adam;  u(t) = 0.9 (1 - 0.96^t / 2);  U = u(1) ... u(t);
              w -= r h / (sqrt(v / (1 - 0.999^t)) + 1e-7),
              h = u(t+1) m / (1 - U u(t+1)) + (1 - u(t)) g / (1 - U)     Dozat (ICLR 2016 workshop), algorithm 8
    adamax    m as adam;  v = max(0.999 v, |g|);
              w -= r m / ((1 - 0.9^t) (v + 1e-7))                Kingma and Ba (ICLR 2015), section 7.1
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from sweep.engines.packed.structure import LaneNumbers

Tensor = Any
BETA_1, BETA_2, EPSILON, RHO = 0.9, 0.999, 1e-7, 0.9
NUM_SLOTS = {"sgd": 1, "rmsprop": 2, "adam": 2, "adamw": 2, "nadam": 2, "adamax": 2}


def update(
    optimizer: str,
    weight: Tensor,
    gradient: Tensor,
    slots: Sequence[Tensor],
    numbers: LaneNumbers,
    rate: Tensor,
    product: Tensor,
    count: Tensor,
) -> tuple[Tensor, list[Tensor]]:
    """(weight, slots) after update number `count` (1 for the first, a float) at learning rate `rate`.

    `product` is nadam's U, from `momentum_products`. Slots begin as zeros.
    """
    if optimizer == "sgd":
        return _sgd(weight, gradient, slots[0], numbers, rate)
    if optimizer == "rmsprop":
        velocity, momentum = slots
        return _rmsprop(weight, gradient, velocity, momentum, numbers.momentum, rate)
    if optimizer == "adamw":
        weight = weight - weight * numbers.weight_decay * rate
    beta_1, beta_2 = BETA_1, BETA_2
    if optimizer == "nadam":  # Keras rounds these two before it subtracts them from one: 1e-5 of the squares' share
        beta_1, beta_2 = ops.cast(BETA_1, weight.dtype), ops.cast(BETA_2, weight.dtype)
    momentum = slots[0] + (gradient - slots[0]) * (1 - beta_1)
    if optimizer == "adamax":
        norm = ops.maximum(BETA_2 * slots[1], ops.absolute(gradient))
        return weight - rate * momentum / ((1 - _power(BETA_1, count)) * (norm + EPSILON)), [momentum, norm]
    velocity = slots[1] + (ops.square(gradient) - slots[1]) * (1 - beta_2)
    step = _nadam_step if optimizer == "nadam" else _adam_step
    return weight - step(gradient, momentum, velocity, rate, product, count), [momentum, velocity]


def momentum_products(optimizer: str, num_updates: int, dtype: str) -> NDArray[np.floating]:
    """Nadam's U after each update, (num_updates,); ones for the others."""
    counts = np.arange(1, num_updates + 1) if optimizer == "nadam" else np.empty(0)
    factors = BETA_1 * (1.0 - 0.5 * np.power(0.96, counts))
    return np.cumprod(factors.astype(dtype), dtype=dtype) if optimizer == "nadam" else np.ones(num_updates, dtype)


def _sgd(
    weight: Tensor, gradient: Tensor, momentum: Tensor, numbers: LaneNumbers, rate: Tensor
) -> tuple[Tensor, list[Tensor]]:
    step = gradient * rate
    momentum = momentum * numbers.momentum - step
    ahead = momentum * numbers.momentum - step
    return weight + ops.where(numbers.nesterov > 0, ahead, momentum), [momentum]


def _rmsprop(
    weight: Tensor, gradient: Tensor, velocity: Tensor, momentum: Tensor, mu: Tensor, rate: Tensor
) -> tuple[Tensor, list[Tensor]]:
    velocity = RHO * velocity + (1 - RHO) * ops.square(gradient)
    momentum = mu * momentum + rate * gradient / ops.sqrt(velocity + EPSILON)
    return weight - momentum, [velocity, momentum]


def _adam_step(_: Tensor, momentum: Tensor, velocity: Tensor, rate: Tensor, __: Tensor, count: Tensor) -> Tensor:
    alpha = rate * ops.sqrt(1 - _power(BETA_2, count)) / (1 - _power(BETA_1, count))
    return momentum * alpha / (ops.sqrt(velocity) + EPSILON)


def _nadam_step(
    gradient: Tensor, momentum: Tensor, velocity: Tensor, rate: Tensor, product: Tensor, count: Tensor
) -> Tensor:
    beta_1 = ops.cast(BETA_1, count.dtype)
    now, after = (beta_1 * (1.0 - 0.5 * _power(0.96, number)) for number in (count, count + 1))
    ahead = after * momentum / (1 - product * after) + (1 - now) * gradient / (1 - product)
    return ahead * rate / (ops.sqrt(velocity / (1 - _power(BETA_2, count))) + EPSILON)


def _power(base: float, exponent: Tensor) -> Tensor:
    return ops.power(ops.cast(base, exponent.dtype), exponent)
