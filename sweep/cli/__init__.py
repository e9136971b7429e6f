"""The command line: one thin layer over the library."""

from sweep.cli.parser import main

__all__ = ["main"]
