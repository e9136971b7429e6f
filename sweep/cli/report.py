"""Define the command `sweep report`."""

import argparse
from pathlib import Path

from sweep.cli.arguments import add_storage, storage_options
from sweep.cli.say import warn
from sweep.errors import InputError

NAME = "report"
SUMMARY = "Write a study as an HTML page that works offline, optionally compared with other studies."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the studies and the page."""
    command.add_argument("study", metavar="STUDY", help="Name of the study.")
    command.add_argument(
        "others", nargs="*", metavar="OTHER", help="Names of studies to compare it with at equal budget."
    )
    command.add_argument("--out", type=Path, metavar="FILE", help="Path of the page. Default: DIR/STUDY/report.html.")
    add_storage(command)


def run(arguments: argparse.Namespace) -> None:
    """Write the page and print its path and size."""
    from sweep.api.reading import read_stored
    from sweep.config.study_name import study_folder
    from sweep.results.report import make_page, write_page

    names = [arguments.study, *arguments.others]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise InputError(f"study {repeated} is given twice; pass each study once")
    path = arguments.out or study_folder(arguments.studies, arguments.study) / "report.html"
    options = storage_options(arguments)
    page = make_page([read_stored(name, options, warn).study for name in names])
    write_page(page, path)
    print(f"{path} ({len(page.encode()) / 1e6:.1f} MB)")
