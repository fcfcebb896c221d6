"""How a worker speaks to the target."""
