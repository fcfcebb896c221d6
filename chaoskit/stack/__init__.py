"""What is under test: Compose files, topology, effects, launch data."""
