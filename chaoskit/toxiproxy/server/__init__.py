"""The embedded Toxiproxy."""
