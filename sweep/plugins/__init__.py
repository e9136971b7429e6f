"""What others add: code that a user names, and packages that are installed."""
