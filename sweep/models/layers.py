"""Keras layers that several families are made of."""

from typing import Any

import keras

from sweep.config.training import RegularizerConfig


def hidden_layers(
    units: tuple[int, ...], activation: str, initializer: str, rate: float, regularizer: RegularizerConfig
) -> list[Any]:
    """Dense layers, a dropout after each."""
    layers: list[Any] = []
    for number in units:
        layers.append(_dense(number, activation, initializer, penalty(regularizer)))
        layers += dropout(rate)
    return layers


def output_layer(num_classes: int, activation: str, initializer: str, regularizer: RegularizerConfig) -> Any:
    """A dense layer of one unit a class. float32 whatever the precision: bfloat16's probabilities have three digits."""
    given = penalty(regularizer) if regularizer.scope != "hidden" else None
    return _dense(num_classes, activation, initializer, given, dtype=keras.config.floatx())


def dropout(rate: float) -> list[Any]:
    """A dropout, or no layer."""
    return [keras.layers.Dropout(rate)] if rate else []


def penalty(regularizer: RegularizerConfig) -> Any:
    """Of a kernel; None for none."""
    return keras.regularizers.L1L2(l1=regularizer.l1, l2=regularizer.l2) if regularizer.is_on else None


def _dense(units: int, activation: str, initializer: str, given: Any, dtype: Any = None) -> Any:
    return keras.layers.Dense(
        units, activation=activation, kernel_initializer=initializer, kernel_regularizer=given, dtype=dtype
    )
