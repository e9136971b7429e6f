"""Provide the command line: a thin layer that parses arguments, calls the library and prints."""

from sweep.cli.parser import main

__all__ = ["main"]
