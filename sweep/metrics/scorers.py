"""scikit-learn's classification scorers by their own names, of the probabilities that a model gives.

A scorer takes a fitted classifier. `_Predicted` is one whose features are the probabilities themselves, so that
thresholds, averages and the handling of two classes are scikit-learn's own. `top_3_accuracy` is its
`top_k_accuracy_score` with k = 3; its scorer `top_k_accuracy` has k = 2.
"""

import re
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer, top_k_accuracy_score

from sweep.metrics import SCORERS, TOP_K

Score = Callable[[NDArray[Any], NDArray[Any]], float]


def __getattr__(name: str) -> Score:
    """Return the function of labels and probabilities that a scorer's name stands for."""
    if name in SCORERS:
        return partial(score, name)
    if top := re.fullmatch(TOP_K, name):
        return partial(_top_k, int(top[1]))
    raise AttributeError(f"module {__name__} has no attribute {name}")


def score(name: str, labels: NDArray[Any], probabilities: NDArray[Any]) -> float:
    """Return the score that a scorer of scikit-learn gives.

    Args:
        name: The scorer's.
        labels: int (N,).
        probabilities: (N, num_classes).

    Raises:
        ValueError: The scorer is not for so many classes, or this version of scikit-learn does not have it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # after a first epoch some class is often not predicted
        return float(get_scorer(name)(_Predicted(probabilities.shape[1]), probabilities, labels))


def _top_k(k: int, labels: NDArray[Any], probabilities: NDArray[Any]) -> float:
    """Return the fraction of images whose class is among the k most probable ones.

    Raises:
        ValueError: There are not more than k classes.
    """
    num_classes = probabilities.shape[1]
    if k >= num_classes:
        raise ValueError(f"of {num_classes} classes, the top {k} are always right; use a smaller number")
    return float(top_k_accuracy_score(labels, probabilities, k=k, labels=np.arange(num_classes)))


class _Predicted(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted classifier whose features are its predictions."""

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.classes_ = np.arange(num_classes)

    def predict_proba(self, probabilities: NDArray[Any]) -> NDArray[Any]:
        return probabilities

    def predict(self, probabilities: NDArray[Any]) -> NDArray[Any]:
        classes: NDArray[Any] = probabilities.argmax(axis=1)
        return classes
