"""Run a sweep: make its plan, open its session, and run the tuner, the only loop that writes to the study."""
