"""Many trials as lanes of one compiled program."""
