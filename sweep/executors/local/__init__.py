"""Run workers as processes on this machine."""
