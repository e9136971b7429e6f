"""The only place that trains. An engine knows nothing of studies and never imports Optuna."""
