"""What it means: pure functions from a history to findings."""
