"""Define the command `sweep score`."""

import argparse

from sweep.cli.arguments import add_storage, storage_options
from sweep.cli.say import say, warn

NAME = "score"
SUMMARY = "Compute metrics of a study's best trials from their stored predictions; nothing is trained."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the study, the metrics and the output format."""
    command.add_argument("study", metavar="STUDY", help="Name of the study.")
    command.add_argument(
        "metrics",
        nargs="+",
        metavar="METRIC",
        help="scikit-learn's name of a scorer, such as f1_macro; top_5_accuracy; or module:function.",
    )
    command.add_argument("--json", action="store_true", help="Print JSON.")
    add_storage(command)


def run(arguments: argparse.Namespace) -> None:
    """Print the metrics, the best trial by the first of them first."""
    from sweep.api.reading import read_stored
    from sweep.api.scoring import score_study
    from sweep.cli.tables import print_scores, print_scores_json

    options = storage_options(arguments)
    stored = read_stored(arguments.study, options, warn)
    trials = score_study(stored, arguments.metrics, options.studies, warn if arguments.json else say)
    (print_scores_json if arguments.json else print_scores)(stored.study, trials)
