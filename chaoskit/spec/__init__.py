"""What the user wrote, as frozen data."""
