"""Addresses and variables in the text of environment values and arguments. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

__all__ = ["DEFAULT_PORTS", "Rewriter", "substitute"]

# What a URL without a port means. A driver may be named after a plus sign: postgresql+psycopg://.
DEFAULT_PORTS = {
    "amqp": 5672,
    "http": 80,
    "https": 443,
    "nats": 4222,
    "postgres": 5432,
    "postgresql": 5432,
    "redis": 6379,
    "rediss": 6379,
    "valkey": 6379,
    "valkeys": 6379,
    "ws": 80,
    "wss": 443,
}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?:\+[A-Za-z0-9.+\-]*)?://(?:[^/?#\s@]*@)?(?:[^/?#\s@]*,)?$")
_VARIABLE = re.compile(r"\$\{(NODE_[A-Z0-9_]+)\}")


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Replace ${NODE_...} by its value; what has none stays as it is written."""
    return _VARIABLE.sub(lambda match: values.get(match[1], match[0]), text)


class Rewriter:
    """Replaces `name:port`, and `scheme://name` where the scheme implies a port, by where that is for one source.

    A name counts only as a whole word: `db` is neither in `db-2:5432` nor in `my.db:5432`, nor is it a user and
    password in front of an @.

    Args:
        addresses: (name, port) -> (host, port) to put in its place.
    """

    def __init__(self, addresses: Mapping[tuple[str, int], tuple[str, int]]) -> None:
        self._addresses = dict(addresses)
        names = sorted({name for name, _ in self._addresses}, key=len, reverse=True)
        self._pattern = (
            re.compile(
                rf"(?<![\w.\-])(?P<name>{'|'.join(map(re.escape, names))})"
                r"(?::(?P<port>[0-9]+)(?![\w\-@])|(?=[/?#,;\s\"']|$))"
            )
            if names
            else None
        )

    def __call__(self, text: str) -> str:
        """The text with every known address replaced."""
        return text if self._pattern is None else self._pattern.sub(self._replace(text), text)

    def _replace(self, text: str) -> Callable[[re.Match[str]], str]:
        def one(match: re.Match[str]) -> str:
            port = match["port"]
            if port is None:
                scheme = _SCHEME.search(text, 0, match.start())
                port = DEFAULT_PORTS.get(scheme[1].lower()) if scheme else None
            found = self._addresses.get((match["name"], int(port))) if port is not None else None
            return match[0] if found is None else f"{found[0]}:{found[1]}"

        return one
