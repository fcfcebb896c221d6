"""Speaks the protocols of links and nodes, for readiness and for canaries."""
