"""What the operating system gives: files that are written whole, locks, forks, signals."""
