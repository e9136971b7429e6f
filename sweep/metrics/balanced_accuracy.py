"""`val_balanced_accuracy`: the mean over classes of the fraction of their images that is classified rightly.

scikit-learn's `balanced_accuracy_score`, which warns of each prediction of a class that no label has.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def val_balanced_accuracy(labels: NDArray[Any], probabilities: NDArray[Any]) -> float:
    """From labels (N,) and probabilities (N, num_classes)."""
    from sklearn.metrics import recall_score

    present = np.unique(labels)
    return float(recall_score(labels, probabilities.argmax(axis=1), labels=present, average="macro"))
