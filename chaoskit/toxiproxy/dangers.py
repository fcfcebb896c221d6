"""Toxics that crash, hang or silently disarm a Toxiproxy, and why: asked before anything is sent."""

from __future__ import annotations

import math
from collections.abc import Mapping

__all__ = ["ATTRIBUTES", "refusal"]

# The attributes of each type. `blackhole` is the embedded server's own.
ATTRIBUTES: Mapping[str, tuple[str, ...]] = {
    "bandwidth": ("rate",),
    "blackhole": (),
    "latency": ("latency", "jitter"),
    "limit_data": ("bytes",),
    "noop": (),
    "reset_peer": ("timeout",),
    "slicer": ("average_size", "size_variation", "delay"),
    "slow_close": ("delay",),
    "timeout": ("timeout",),
}
_LONGEST = 7 * 24 * 3600 * 1000  # a week in ms; far beyond it the original's nanoseconds overflow and the delay is gone


def refusal(name: str, kind: str, toxicity: float, attributes: Mapping[str, object]) -> str | None:
    """Why this toxic must not be sent; None when it may. Attributes left out count as 0, as on the server."""
    if not name or "/" in name:
        return f"toxic name {name!r}: a name must not be empty and cannot be addressed with a slash in it"
    if not (math.isfinite(toxicity) and 0.0 <= toxicity <= 1.0):
        return f"toxicity {toxicity!r} of {name}: it is the share of connections, between 0 and 1"
    known = ATTRIBUTES.get(kind)
    if known is None:
        return f"{kind!r} of {name} is no type of toxic; known: {', '.join(sorted(ATTRIBUTES))}"
    for attribute, value in attributes.items():
        if attribute not in known:
            return (
                f"{kind} has no attribute {attribute!r} (it has: {', '.join(known) or 'none'}); "
                f"the server would ignore it and {name} would not do what was asked"
            )
        if isinstance(value, bool) or not isinstance(value, int):
            return f"{attribute}={value!r} of {name}: attributes are whole numbers"
        if value < 0:
            return f"{attribute}={value} of {name} is negative: that crashes the server or switches the toxic off"
        if attribute in ("latency", "jitter", "timeout") and value > _LONGEST:
            return f"{attribute}={value} ms of {name} is longer than a week"
    return _combination(
        name, kind, toxicity, {key: value for key, value in attributes.items() if isinstance(value, int)}
    )


def _combination(name: str, kind: str, toxicity: float, values: Mapping[str, int]) -> str | None:
    if kind == "slicer":
        average, variation = values.get("average_size", 0), values.get("size_variation", 0)
        if average == 0:
            return f"average_size of {name} is 0: slicing to nothing never ends and takes the server down"
        if variation >= average:
            return f"size_variation={variation} of {name} must be below average_size={average}: else the server crashes"
    if kind == "bandwidth" and values.get("rate", 0) == 0:
        return f"rate of {name} is 0: nothing would ever pass; use a timeout or blackhole toxic for silence"
    if kind == "reset_peer" and toxicity == 0:
        return (
            f"reset_peer {name} at toxicity 0 spares nobody: the original server then turns every normal close into a "
            "reset, whatever the toxicity"
        )
    return None
