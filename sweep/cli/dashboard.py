"""`sweep dashboard`."""

import argparse

from sweep.cli.arguments import add_storage, at_least_one, port, storage_options
from sweep.errors import InputError

NAME = "dashboard"
SUMMARY = "browse the studies, live, in optuna-dashboard on 127.0.0.1"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """What is shown, where, and to whom."""
    command.add_argument("study", nargs="?", metavar="STUDY", help="this study alone (all)")
    command.add_argument(
        "--best", type=at_least_one, metavar="N", help="of a study of thousands the best N and latest N trials (all)"
    )
    command.add_argument("--port", type=port, default=8080, help="8080 by default; 0 takes a free one")
    command.add_argument(
        "--write", action="store_true", help="let the pages tell, rename and delete, and edit notes (read-only)"
    )
    command.add_argument(
        "--public", action="store_true", help="serve on every network of this machine, to all who can reach it"
    )
    add_storage(command)


def run(arguments: argparse.Namespace) -> None:
    """Serve optuna-dashboard until Ctrl-C."""
    from sweep.api.reading import url_of
    from sweep.cli.dashboard_server import Shown, serve

    url = url_of(storage_options(arguments))
    if arguments.write and arguments.best:
        raise InputError("--best: the pages rename a study by copying what they see of it; remove --write or --best")
    shown = Shown(arguments.study or None, arguments.best)
    serve(url, arguments.port, shown, write=arguments.write, public=arguments.public)
