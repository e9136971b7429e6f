"""A space file, checked: what varies, what is fixed, and the runs of a trial."""
