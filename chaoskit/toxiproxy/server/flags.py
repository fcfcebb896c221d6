"""The command line of the original server, by its rules, with a few flags of our own.

The rules are Go's: one dash or two, `-port 8474` or `-port=8474`, a switch alone or with `=false`.
One parser serves `chaoskit toxiproxy` and `python -m chaoskit.toxiproxy.server`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chaoskit.errors import UsageError
from chaoskit.toxiproxy.server.process import Options

__all__ = ["HELP", "Flags", "parse"]


@dataclass(frozen=True)
class Flags:
    """A parsed command line: what to serve, or what to print instead of serving."""

    options: Options
    version: bool = False
    help: bool = False


def _switch(text: str) -> bool:
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise ValueError("parse error")


def _number(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", text):
        raise ValueError("parse error")
    return int(text)


def _loop(text: str) -> str:
    if text not in ("auto", "uvloop", "asyncio"):
        raise ValueError("auto, uvloop or asyncio is wanted")
    return text


@dataclass(frozen=True)
class _Flag:
    """One flag: how its text is read, and how it reads in the help."""

    read: Callable[[str], Any]
    value: str
    about: str
    own: bool = False  # not of the original


_FLAGS = {
    "host": _Flag(str, "HOST", "address of the control port (default: localhost)"),
    "port": _Flag(str, "PORT", "port of the control port, 0 = any free one (default: 8474)"),
    "config": _Flag(str, "FILE", "make the proxies of this JSON file first (what POST /populate takes)"),
    "seed": _Flag(_number, "N", "of toxicity and jitter, so that a run can be repeated (the original ignores it)"),
    "proxy-metrics": _Flag(_switch, "", "bytes of every proxy at /metrics, as Prometheus text"),
    "runtime-metrics": _Flag(_switch, "", "figures of this process at /metrics"),
    "version": _Flag(_switch, "", "print the version and end"),
    "allow-host": _Flag(str, "NAME", "also answer requests to this name (Host header); may be repeated", own=True),
    "lag-file": _Flag(str, "FILE", "append the server's own lag and CPU share, a JSON line every 100 ms", own=True),
    "loop": _Flag(_loop, "LOOP", "event loop: auto, uvloop or asyncio (default: auto)", own=True),
}


def _lines(own: bool) -> str:
    return "\n".join(
        f"  {f'-{name} {flag.value}'.rstrip():<20} {flag.about}" for name, flag in _FLAGS.items() if flag.own is own
    )


HELP = f"""\
Usage: chaoskit toxiproxy [FLAGS]

A Toxiproxy: put it between a program and what it dials, then bend the connection by its REST API.
It answers like Shopify's toxiproxy-server 2.12, so every client of that works with it.

  chaoskit toxiproxy -port 8474 &
  curl -d '{{"name": "db", "listen": "127.0.0.1:15432", "upstream": "127.0.0.1:5432"}}' localhost:8474/proxies
  curl -d '{{"type": "latency", "attributes": {{"latency": 200}}}}' localhost:8474/proxies/db/toxics
  psql -h 127.0.0.1 -p 15432                 # answers come 200 ms late
  curl -X POST localhost:8474/reset          # all proxies on, all toxics gone

Flags of the original (one dash or two, -port 8474 or -port=8474):
{_lines(own=False)}

Flags of our own:
{_lines(own=True)}

LOG_LEVEL=trace|debug|info|warn|error|disabled logs JSON lines to stdout, as the original does.
It ends on SIGTERM and SIGINT with exit code 0; every connection and port is closed then.
docs/toxiproxy.md says where it differs from the original, and why.
"""


def parse(arguments: Sequence[str]) -> Flags:
    """Read a command line.

    Raises:
        UsageError: an unknown flag, a value that is missing or cannot be read, or a word that is no flag.
    """
    found: dict[str, Any] = {}
    allowed: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        name, equals, text = word.removeprefix("-").removeprefix("-").partition("=")
        if not word.startswith("-") or word in ("-", "--"):
            # Go stops reading here and says nothing, so that every flag after a stray word is without effect.
            raise UsageError(f"{word!r} is no flag", hint="write -flag VALUE or -flag=VALUE; -help lists the flags")
        if name in ("h", "help"):
            return Flags(Options(), help=True)
        flag = _FLAGS.get(name)
        if flag is None:
            raise UsageError(f"flag provided but not defined: -{name}", hint="-help lists the flags")
        if not equals and flag.read is _switch:
            text = "true"
        elif not equals:
            if not waiting:
                raise UsageError(f"flag needs an argument: -{name}", hint=f"write -{name} {flag.value}")
            text = waiting.pop(0)
        try:
            value = flag.read(text)
        except ValueError as error:
            raise UsageError(
                f'invalid value "{text}" for flag -{name}: {error}', hint="-help says what it takes"
            ) from None
        if name == "allow-host":
            allowed.append(value)
        else:
            found[name.replace("-", "_")] = value
    version = found.pop("version", False)
    return Flags(Options(**found, allow_hosts=tuple(allowed)), version=version)
