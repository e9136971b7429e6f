"""Store studies in a PostgreSQL database."""
