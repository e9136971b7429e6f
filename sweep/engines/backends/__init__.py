"""The lanes on each Keras backend."""
