"""`val_f1_macro`: the mean over classes of 2 TP / (2 TP + FP + FN). A class counts alike however few images it has.

scikit-learn's `f1_score` with average="macro"; 0 for a class that is never predicted.
"""

from typing import Any

from numpy.typing import NDArray


def val_f1_macro(labels: NDArray[Any], probabilities: NDArray[Any]) -> float:
    """From labels (N,) and probabilities (N, num_classes)."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, probabilities.argmax(axis=1), average="macro", zero_division=0))
