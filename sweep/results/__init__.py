"""What is made of a study: confirmation, report, exported configs, retrained models."""
