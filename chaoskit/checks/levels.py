"""Consistency levels by their names in the field, and which implies which.

Source: Viotti and Vukolić, Consistency in Non-Transactional Distributed Storage Systems (2016), for objects; Adya
(1999), Bailis et al. (2013) and Cerone et al. (2015) for transactions.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

__all__ = ["OBJECTS", "TRANSACTIONS", "implied", "strongest_left", "weakest"]

# A level -> those just below it. What refutes a level refutes all levels above it.
_BELOW: dict[str, tuple[str, ...]] = {
    "linearizable": ("sequential",),
    "sequential": ("causal",),
    "causal": ("read-your-writes", "monotonic-reads", "monotonic-writes", "writes-follow-reads"),
    "read-your-writes": (),
    "monotonic-reads": (),
    "monotonic-writes": (),
    "writes-follow-reads": (),
    "strict-serializable": ("strong-session-serializable", "linearizable"),
    "strong-session-serializable": ("serializable",),
    "serializable": ("repeatable-read", "snapshot-isolation"),
    "snapshot-isolation": ("read-atomic",),
    "repeatable-read": ("read-atomic",),  # of items: a fractured read is a cycle of them
    "read-atomic": ("read-committed",),
    "read-committed": ("read-uncommitted",),
    "read-uncommitted": (),
}
# From weak to strong; where two do not imply each other the order is the one of this list.
OBJECTS = (
    "monotonic-reads",
    "monotonic-writes",
    "writes-follow-reads",
    "read-your-writes",
    "causal",
    "sequential",
    "linearizable",
)
TRANSACTIONS = (
    "read-uncommitted",
    "read-committed",
    "read-atomic",
    "repeatable-read",
    "snapshot-isolation",
    "serializable",
    "strong-session-serializable",
    "strict-serializable",
)


@cache
def implied(level: str) -> frozenset[str]:
    """A level and all levels that it implies."""
    found = {level}
    for below in _BELOW[level]:
        found |= implied(below)
    return frozenset(found)


def weakest(levels: Iterable[str | None], ladder: tuple[str, ...]) -> str | None:
    """The first of some levels on a ladder from weak to strong."""
    given = set(levels)
    return next((level for level in ladder if level in given), None)


def strongest_left(refuted: Iterable[str], ladder: tuple[str, ...]) -> str | None:
    """The strongest level of a ladder that implies none of the refuted ones; None where all are refuted."""
    gone = set(refuted)
    return next((level for level in reversed(ladder) if not implied(level) & gone), None)
