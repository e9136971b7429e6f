"""Define the command `sweep dashboard`."""

import argparse

from sweep.cli.arguments import add_storage, port, positive_int, storage_options
from sweep.errors import InputError

NAME = "dashboard"
SUMMARY = "Browse the studies in optuna-dashboard on 127.0.0.1."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add what is shown, the port, and who may read and write."""
    command.add_argument("study", nargs="?", metavar="STUDY", help="Show this study only. Default: all studies.")
    command.add_argument(
        "--best",
        type=positive_int,
        metavar="N",
        help="Show only the N best and the N latest trials of each study, for studies of thousands. Default: all.",
    )
    command.add_argument(
        "--port", type=port, default=8080, metavar="PORT", help="TCP port; 0 uses a free one. Default: 8080."
    )
    command.add_argument(
        "--write",
        action="store_true",
        help="Allow the pages to rename and delete studies, set trials to a final state, and edit notes. "
        "Default: read-only.",
    )
    command.add_argument(
        "--public",
        action="store_true",
        help="Serve on all network interfaces, to everybody who can reach this machine.",
    )
    add_storage(command)


def run(arguments: argparse.Namespace) -> None:
    """Serve optuna-dashboard until Ctrl-C."""
    from sweep.api.reading import url_of
    from sweep.cli.dashboard_server import View, serve

    url = url_of(storage_options(arguments))
    if arguments.write and arguments.best:
        raise InputError(
            "--best: not possible with --write, as a rename would copy only the trials shown; remove --write or --best"
        )
    view = View(arguments.study or None, arguments.best)
    serve(url, arguments.port, view, write=arguments.write, public=arguments.public)
