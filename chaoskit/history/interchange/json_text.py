"""JSON as formats of histories read it: every key of an object once, and faults in words that fit into a sentence."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["decoder", "fault"]

_SHOWN = 40  # characters of a key that an error quotes


def decoder() -> json.JSONDecoder:
    """JSON as it is meant: an object has every key once (else it raises ValueError, which says which)."""
    return json.JSONDecoder(object_pairs_hook=_unique)


def fault(error: json.JSONDecodeError) -> str:
    """What is wrong, in words: "unterminated string", "extra data"."""
    what = error.msg.removesuffix(" at").removesuffix(" starting")
    return what[:1].lower() + what[1:]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen = set[str]()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:_SHOWN]!r} twice in one object")
    return found
