"""Store studies in a SQLite file."""
