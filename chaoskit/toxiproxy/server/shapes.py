"""What the API takes and gives, as JSON: the fields of proxies and toxics, and the error that a request ends with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaoskit.toxiproxy.server import gojson
from chaoskit.toxiproxy.server.proxies import Proxy
from chaoskit.toxiproxy.server.stage import Toxic

__all__ = ["Refused", "attributes_of", "fields_of", "go_name", "proxy_shape", "short_text", "toxic_shape"]

_LONGEST = 1024  # characters of a name or an address; the original takes any


class Refused(Exception):
    """An error reply: its status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def fields_of(value: Any, go_type: str) -> dict[str, Any]:
    """The fields of a decoded object; none when it is null.

    Raises:
        BadJson: it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise gojson.BadJson(f"json: cannot unmarshal {gojson.kind_of(value)} into Go value of type {go_type}")
    return value


def short_text(found: dict[str, Any], name: str, default: str, where: str) -> str:
    """As `gojson.text`, for names and addresses, which are kept for as long as the server runs.

    Raises:
        BadJson: it is no string. Refused: it is longer than anybody needs.
    """
    text = gojson.text(found, name, default, where)
    if len(text) > _LONGEST:
        raise Refused(400, f"{name} is too long: {len(text)} characters, {_LONGEST} is the limit")
    return text


def attributes_of(kind: str, given: dict[str, Any], before: Mapping[str, int]) -> dict[str, int]:
    """The values given over those from before; names that the type does not have are ignored.

    Raises:
        BadJson: one is no integer.
    """
    where = f"{go_name(kind)}.attributes"
    return {name: gojson.integer(given, name, value, where) for name, value in before.items()}


def go_name(kind: str) -> str:
    """What the original calls the type of a toxic in its messages: LatencyToxic, ResetToxic."""
    return kind.removesuffix("_peer").title().replace("_", "") + "Toxic"


def proxy_shape(proxy: Proxy) -> dict[str, object]:
    """A proxy as the API shows it."""
    return {
        "name": proxy.name,
        "listen": proxy.listen,
        "upstream": proxy.upstream,
        "enabled": proxy.enabled,
        "Logger": {},  # the original leaks this key, and clients have learned to ignore it
        "toxics": [toxic_shape(toxic) for toxic in proxy.toxics()],
    }


def toxic_shape(toxic: Toxic) -> dict[str, object]:
    """A toxic as the API shows it."""
    return {
        "attributes": toxic.attributes,
        "name": toxic.name,
        "type": toxic.stage.type,
        "stream": toxic.stream,
        "toxicity": toxic.toxicity,
    }
