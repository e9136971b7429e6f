"""Use the trials of a study: confirm, report, export configs, retrain models, verify scores."""
