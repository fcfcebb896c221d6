"""Did you mean …? One place, so that it always reads the same."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["did_you_mean", "listed"]

_SHOWN = 12


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ "did you mean 'latency'?" when something known is near, else what there is."""
    names = list(dict.fromkeys(known))
    folded = {name.lower(): name for name in reversed(names)}
    near = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.8)
    near = near or difflib.get_close_matches(word.lower(), folded, n=2, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(repr(folded[name]) for name in near)}?"
    return f"use one of: {listed(names)}" if names else "there is none to choose from"


def listed(names: Iterable[str]) -> str:
    """Names with commas, cut short when there are many."""
    found = list(names)
    more = len(found) - _SHOWN
    return ", ".join(found[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
