"""Define the command `sweep keys`."""

import argparse

NAME = "keys"
SUMMARY = "Show the keys of space files and config files: type, allowed values, default, meaning."


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the section and the output format."""
    command.add_argument(
        "section",
        metavar="SECTION",
        nargs="?",
        help="A section, model family, key or value, such as training, cnn, schedule.name or cosine. Default: all.",
    )
    command.add_argument("--markdown", action="store_true", help="Print Markdown tables.")


def run(arguments: argparse.Namespace) -> None:
    """Print the keys.

    Raises:
        InputError: There is no such section, key or value.
    """
    from sweep.cli.key_reference import reference_markdown, reference_text

    print((reference_markdown if arguments.markdown else reference_text)(arguments.section))
