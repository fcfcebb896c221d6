"""Recipes of the embedded servers: how a real server from a wheel starts as a local process."""

from __future__ import annotations

from chaoskit.runtimes.servers.model import Place, Recipe, Setup

__all__ = ["Place", "Recipe", "Setup"]
