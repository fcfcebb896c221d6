"""What was read back of a link beside what it shall be: whether they are the same, and how they read. Pure."""

from __future__ import annotations

import math

from chaoskit.stack.effects import LinkState, Toxic

__all__ = ["same", "short"]


def same(found: LinkState | None, wanted: LinkState) -> bool:
    """Whether a link is as it shall be: how toxics of the two directions are interleaved means nothing (Toxiproxy sorts
    them), and a server may tell attributes that were left out."""
    if found is None or found.enabled != wanted.enabled:
        return False
    pairs = [(_chain(found, stream), _chain(wanted, stream)) for stream in ("upstream", "downstream")]
    return all(len(ours) == len(theirs) and all(map(_same_toxic, ours, theirs)) for ours, theirs in pairs)


def short(state: LinkState | None) -> str:
    """A state in words, for an error."""
    if state is None:
        return "unknown"
    toxics = ", ".join(f"{toxic.type} {toxic.stream} {toxic.attributes}" for toxic in state.toxics)
    return f"{'enabled' if state.enabled else 'disabled'} with {toxics or 'no toxics'}"


def _chain(state: LinkState, stream: str) -> list[Toxic]:
    return [toxic for toxic in state.toxics if toxic.stream == stream]


def _same_toxic(found: Toxic, wanted: Toxic) -> bool:
    return (
        (found.name, found.type) == (wanted.name, wanted.type)
        and math.isclose(found.toxicity, wanted.toxicity, abs_tol=1e-6)  # a 32-bit float in the server
        and wanted.attributes.items() <= found.attributes.items()
    )
