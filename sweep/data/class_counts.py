"""How many images of each class there are, and what a model that answers one class for all would score."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sweep.data.dataset import Dataset

MAX_COUNTED = 20  # classes whose counts are shown and stored


@dataclass(frozen=True)
class Majority:
    """The class that most images of a part have, and their share: the accuracy of always answering it."""

    name: str
    accuracy: float


@dataclass(frozen=True)
class ClassCounts:
    """Images of class 0, 1, ... in the train and the validation part."""

    names: tuple[str, ...]
    train: tuple[int, ...]
    validation: tuple[int, ...]

    def majority(self, part: str) -> Majority | None:
        """Of `train` or `validation`; None of a part without images."""
        counts = np.asarray(getattr(self, part))
        if not counts.sum():
            return None
        return Majority(self.names[int(counts.argmax())], float(counts.max() / counts.sum()))

    def lines(self) -> list[str]:
        """For a user: the counts, the classes that a part lacks, and the majority's accuracy."""
        return [self._counts_line(), *self.absent_lines(), *self._majority_lines()]

    def absent_lines(self) -> list[str]:
        """Which classes a part lacks."""
        lines = []
        for part in ("train", "validation"):
            counts = getattr(self, part)
            absent = [name for name, count in zip(self.names, counts, strict=True) if not count]
            if absent and any(counts):
                more = f" and {len(absent) - MAX_COUNTED} more" if len(absent) > MAX_COUNTED else ""
                lines.append(f"note: the {part} part has no image of {', '.join(absent[:MAX_COUNTED])}{more}")
        return lines

    def of_folds(self) -> "ClassCounts":
        """Of a fold's parts: every image is in one fold's validation part."""
        everything = tuple(map(sum, zip(self.train, self.validation, strict=True)))
        return replace(self, validation=everything)

    def record(self) -> dict[str, Any]:
        """Plain values that are stored with the study: `num_classes`, counts of a few classes, `majority` by metric."""
        counted = [[*pair] for pair in zip(self.train, self.validation, strict=True)]
        found = {"accuracy": self.majority("train"), "val_accuracy": self.majority("validation")}
        return {
            "num_classes": len(self.names),
            "counts": dict(zip(self.names, counted, strict=True)) if len(self.names) <= MAX_COUNTED else {},
            "majority": {metric: [one.name, one.accuracy] for metric, one in found.items() if one is not None},
        }

    def _counts_line(self) -> str:
        counted = [*zip(self.names, self.train, self.validation, strict=True)]
        start = f"{len(self.names)} classes, training + validation images"
        if len(counted) <= MAX_COUNTED:
            return f"{start}: " + ", ".join(f"{name} {train} + {other}" for name, train, other in counted)
        ends = (min(counted, key=lambda one: one[1]), max(counted, key=lambda one: one[1]))
        return f"{start}: " + " to ".join(f"{name} {train} + {other}" for name, train, other in ends)

    def _majority_lines(self) -> list[str]:
        one = self.majority("validation")
        return [f"always predicting {one.name} gives val_accuracy {one.accuracy:.4f}"] if one else []


def class_counts(dataset: Dataset) -> ClassCounts:
    """Of a dataset's parts."""
    train, validation = (
        tuple(map(int, np.bincount(labels, minlength=dataset.num_classes)))
        for labels in (dataset.y_train, dataset.y_validation)
    )
    return ClassCounts(dataset.class_names, train, validation)
