"""Which known name a misspelt one probably means, for error messages.

Keras's names, and others that people use for a config key, are in `SYNONYMS`; all others are compared
by their letters (`difflib`).
"""

import difflib
from collections.abc import Iterable, Mapping

NONE: Mapping[str, str] = {}
SYNONYMS = {  # a key or its last part, as Keras, Optuna or a user's script may call it -> the config key
    "model.rate": "model.dropout",
    "rate": "schedule.initial_learning_rate",
    "learning_rate": "schedule.initial_learning_rate",
    "lr": "schedule.initial_learning_rate",
    "eta": "schedule.initial_learning_rate",
    "decay": "schedule.decay_rate",
    "schedule": "schedule.name",
    "optimizer": "optimizer.name",
    "wd": "optimizer.weight_decay",
    "beta_1": "optimizer.momentum",
    "kernel_regularizer": "regularizer.l2",
    "units": "model.dense_units",
    "batchsize": "training.batch_size",
    "num_epochs": "training.epochs",
    "early_stopping": "training.patience",
    "dataset": "data.name",
}


def closest(name: str, known: Iterable[str], others: Mapping[str, str] = NONE) -> str | None:
    """The known name that `name` probably means.

    Args:
        name: A key of a file or of the command line, as `section.key` or a single word.
        known: All names that would be right in its place.
        others: Further spellings, each with the known name that it stands for.

    Returns:
        A synonym's key; else the most similar name; else the one whose last part is most similar, in whatever section.
        None if nothing is similar.

    >>> closest("optimizer.lr", ["optimizer.momentum", "schedule.initial_learning_rate"])
    'schedule.initial_learning_rate'
    >>> closest("training.epoch", ["training.epochs", "training.seed"])
    'training.epochs'
    """
    names = {**{one: one for one in known}, **others}
    last = name.rpartition(".")[2].lower()
    synonym = SYNONYMS.get(name) or SYNONYMS.get(last)
    if synonym in names:
        return synonym
    similar = difflib.get_close_matches(name, names, n=1, cutoff=0.8)
    if similar:
        return names[similar[0]]
    by_last = {one.rpartition(".")[2]: names[one] for one in reversed(names) if not one.endswith(".name")}
    last_part = difflib.get_close_matches(last, by_last, n=1, cutoff=0.75)
    return by_last[last_part[0]] if last_part else None


def did_you_mean(name: str, known: Iterable[str], others: Mapping[str, str] = NONE) -> str:
    """Return `; did you mean "training.epochs"?`, or "" if no known name is similar."""
    meant = closest(name, known, others)
    return f'; did you mean "{meant}"?' if meant is not None else ""
