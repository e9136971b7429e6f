"""Provide the Python API: each command of the command line as a function or a method of `Study`."""
