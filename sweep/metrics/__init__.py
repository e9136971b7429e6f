"""Metrics by their names, each with the direction in which it is better.

Keras gives some of every training. Any other one is a function of what a model says of the validation part:

    def val_macro_recall(labels, probabilities):    # int (N,), float32 (N, num_classes) whose rows add to one
        return recall_score(labels, probabilities.argmax(axis=1), average="macro")

It is one of scikit-learn's scorers, ours, of an installed package or the user's own (`module:function`), and is
computed after each epoch of a training that asks for it by `training.metrics`, as each metric of `[study]` does.
"""

import re
from typing import Literal

from sweep.plugins.registry import Registry

Direction = Literal["maximize", "minimize"]
TIMING = "seconds"  # of an epoch: the median over a run's; no two runs have the same
LOGGED_METRICS: dict[str, Direction] = {
    "val_accuracy": "maximize",
    "val_loss": "minimize",
    "accuracy": "maximize",
    "loss": "minimize",
    TIMING: "minimize",
}
SCORERS = (  # scikit-learn's for classes; its "accuracy" is `val_accuracy`, as Keras calls it
    "average_precision",
    "balanced_accuracy",
    "d2_brier_score",
    "d2_log_loss_score",
    *(f"f1{average}" for average in ("", "_macro", "_micro", "_weighted")),
    *(f"jaccard{average}" for average in ("", "_macro", "_micro", "_weighted")),
    "matthews_corrcoef",
    "neg_brier_score",
    "neg_log_loss",
    "neg_negative_likelihood_ratio",
    "positive_likelihood_ratio",
    *(f"precision{average}" for average in ("", "_macro", "_micro", "_weighted")),
    *(f"recall{average}" for average in ("", "_macro", "_micro", "_weighted")),
    *(f"roc_auc{average}" for average in ("", "_ovo", "_ovo_weighted", "_ovr", "_ovr_weighted")),
    "top_k_accuracy",
)
TOP_K = re.compile("top_([1-9][0-9]{0,3})_accuracy")  # top_5_accuracy


class MetricRegistry(Registry[object]):
    """Metrics by name; those of `TOP_K` are not listed one by one."""

    def built_in_code(self, name: str) -> str | None:
        """`module:attribute` of one of ours."""
        return f"sweep.metrics.scorers:{name}" if TOP_K.fullmatch(name) else super().built_in_code(name)


METRICS = MetricRegistry(
    "metric",
    "training.metrics",
    "sweep.metrics",
    {
        **dict.fromkeys(LOGGED_METRICS, "sweep.metrics:LOGGED_METRICS"),
        "val_f1_macro": "sweep.metrics.f1_macro:val_f1_macro",
        "val_balanced_accuracy": "sweep.metrics.balanced_accuracy:val_balanced_accuracy",
        **{name: f"sweep.metrics.scorers:{name}" for name in SCORERS},
    },
)


def direction_of(name: str) -> Direction | None:
    """Which way the metric is better; None of code that is not ours, which is not run to ask it.

    One of ours is better higher unless it has an attribute `direction`.
    """
    return None if METRICS.code_of(name) is not None else load_direction(name)


def load_direction(name: str) -> Direction:
    """Return the direction of any metric, whose code is imported for it: its attribute `direction`, else maximize."""
    if name in LOGGED_METRICS:
        return LOGGED_METRICS[name]
    direction: Direction = getattr(METRICS.get(name), "direction", "maximize")
    return direction


def function_metrics(*names: str) -> tuple[str, ...]:
    """Those that are functions of probabilities, each once."""
    return tuple(name for name in dict.fromkeys(names) if name not in LOGGED_METRICS)
