"""Run engines: in this process, in worker processes, or on a Ray cluster. The tuner only sees the `Executor`."""
