"""Compute metrics from stored predictions, for the command and for `Study.score`."""

from collections.abc import Callable, Sequence
from pathlib import Path

from sweep.config.study_name import study_folder
from sweep.metrics import METRICS
from sweep.plugins.user_code import code_of, prepend_to_path
from sweep.results.scoring import TrialScores, score_trials
from sweep.results.stored_study import StoredStudy


def score_study(
    stored: StoredStudy, metrics: Sequence[str], studies: Path, say: Callable[[str], None]
) -> list[TrialScores]:
    """Return metrics of the trials whose predictions are stored, best first by the first metric.

    Args:
        stored: The study.
        metrics: Names of metrics; one of the user's is imported from the working directory.
        studies: The folder of the studies.
        say: Called with a line about user code.

    Raises:
        InputError: There is no such metric, it cannot be computed, or there are no predictions.
    """
    named = [code for metric in metrics if METRICS.problem(metric) is None and (code := METRICS.code_of(metric))]
    if named:
        prepend_to_path(Path.cwd())
        say(f"this runs your code: {code_of(*named)}")
    return score_trials(stored, study_folder(studies, stored.name), metrics)
