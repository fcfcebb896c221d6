"""Addresses in the text of environment values and commands: who is meant, on which port, speaking what. Pure.

A name counts only as a whole word: `db` is neither in `db-2:5432` nor in `my.db:5432`, nor is it a user in front of an
@ (`postgresql://db:secret@primary:5432` names `primary` alone).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from chaoskit.stack.topology import Protocol

__all__ = ["SCHEMES", "Reference", "references"]

# What a URL's scheme means: its usual port, and what a canary speaks there.
SCHEMES: dict[str, tuple[int, Protocol]] = {
    "amqp": (5672, "tcp"),
    "http": (80, "http"),
    "https": (443, "https"),
    "nats": (4222, "tcp"),
    "postgres": (5432, "postgres"),
    "postgresql": (5432, "postgres"),
    "redis": (6379, "resp"),
    "rediss": (6379, "resp+tls"),
    "valkey": (6379, "resp"),
    "valkeys": (6379, "resp+tls"),
    "ws": (80, "http"),
    "wss": (443, "https"),
}
# A driver may be named after a plus sign (postgresql+psycopg://), and hosts may be several (kafka-like lists).
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?:\+[A-Za-z0-9.+\-]*)?://(?:[^/?#\s@]*@)?(?:[^/?#\s@]*,)?$")


class Reference(NamedTuple):
    """One address: `protocol` is None where no scheme says."""

    name: str
    port: int
    protocol: Protocol | None


def references(text: str, names: Iterable[str]) -> Iterator[Reference]:
    """`name:port` for any of the names, and `scheme://name` where the scheme implies a port."""
    words = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    if not words:
        return
    pattern = rf"(?<![\w.\-])(?P<name>{words})(?::(?P<port>[0-9]{{1,5}})(?![\w\-@])|(?=[/?#,;\s\"']|$))"
    for match in re.finditer(pattern, text):
        scheme = _SCHEME.search(text, 0, match.start())
        usual = SCHEMES.get(scheme[1].lower()) if scheme else None
        if match["port"] is not None:
            yield Reference(match["name"], int(match["port"]), usual[1] if usual else None)
        elif usual is not None:
            yield Reference(match["name"], *usual)
