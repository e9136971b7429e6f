"""Run workers as actors of a Ray cluster."""
