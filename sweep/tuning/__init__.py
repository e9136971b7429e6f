"""A sweep: its plan, its session, and the tuner, the only loop that talks to the study."""
