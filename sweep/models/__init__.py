"""Config to Keras model."""
