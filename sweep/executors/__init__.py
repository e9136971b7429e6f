"""Where engines run. The tuner sees an executor and nothing below it."""
