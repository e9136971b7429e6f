"""What one training run is, typed and frozen, and its TOML. Imports neither Keras nor Optuna."""
