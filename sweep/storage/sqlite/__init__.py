"""Studies in a SQLite file."""
