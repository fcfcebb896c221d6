"""What goes wrong: one pure compiler per file."""
