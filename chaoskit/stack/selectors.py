"""Selectors: which links or nodes a fault is on. Pure.

    api -> db          all links from nodes of api to nodes of db       api-2 -> db    from one node
    * -> db            from anywhere                                    api -> db:5432 to one port
    [api, worker] -> db                                                 api <-> db     both directions
    db   api-*   [db, cache]                                            nodes, for faults that hurt nodes
    n1   client@n1                                                      members of a partition, clients included

A name is a service, a node, or a pattern with `*` over both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from chaoskit.spec.suggest import did_you_mean, listed
from chaoskit.stack.topology import CLIENT, Link, Node, Topology

__all__ = ["SelectorError", "select_links", "select_members", "select_nodes"]

_ARROW = re.compile(r"<->|->")
_NAME = re.compile(r"[A-Za-z0-9*][A-Za-z0-9_.*@-]*")
_PORT = re.compile(r":\s*([0-9]{1,5})\s*$")


class SelectorError(ValueError):
    """A selector that is none, or that matches nothing. `offset` is the index of the faulty character."""

    def __init__(self, offset: int, what: str, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.offset, self.what, self.why, self.hint = offset, what, why, hint


class _Word(NamedTuple):
    text: str
    offset: int

    def matches(self, node: Node) -> bool:
        """The node's own name or its service's."""
        pattern = re.escape(self.text).replace(r"\*", ".*")
        return any(re.fullmatch(pattern, name) for name in (node.name, node.service))


def select_links(text: str, topology: Topology) -> tuple[Link, ...]:
    """The links that a selector matches, in the topology's order.

    Raises:
        SelectorError: it cannot be read, names something that is not there, or matches no link.
    """
    arrow = _ARROW.search(text)
    if arrow is None:
        hint = f"write SOURCE -> {text.strip() or 'DESTINATION'}, such as * -> {text.strip() or 'db'}"
        raise SelectorError(0, f"{text!r} selects nodes, but the fault is on links", "", hint)
    again = _ARROW.search(text, arrow.end())
    if again is not None:
        raise SelectorError(again.start(), f"{text!r} has two arrows", "", "write one selector per pair, in a list")
    sources = _words(text[: arrow.start()], 0, topology, "source")
    rest, port = text[arrow.end() :], None
    if (found := _PORT.search(rest)) is not None:
        rest, port = rest[: found.start()], int(found[1])
    destinations = _words(rest, arrow.end(), topology, "destination")
    both = arrow[0] == "<->"

    def hit(link: Link) -> bool:
        source, destination = topology.node(link.source), topology.node(link.destination)
        along = _any(sources, source) and _any(destinations, destination)
        back = both and _any(sources, destination) and _any(destinations, source)
        return (along or back) and (port is None or link.port == port)

    matched = tuple(link for link in topology.links if hit(link))
    if not matched:
        what = f"{text!r} matches no link"
        raise SelectorError(
            0, what, f"the links are {listed(link.id for link in topology.links)}", _turned(text, topology)
        )
    return matched


def select_nodes(text: str, topology: Topology) -> tuple[str, ...]:
    """The nodes that a selector matches, in the topology's order; clients are none.

    Raises:
        SelectorError: it cannot be read, names something that is not there, or matches no node.
    """
    arrow = _ARROW.search(text)
    if arrow is not None:
        raise SelectorError(
            0, f"{text!r} selects links, but the fault is on nodes", "", "name nodes, such as db or api-2"
        )
    words = _words(text, 0, topology, "node")
    matched = tuple(n.name for n in topology.nodes if n.service != CLIENT and _any(words, n))
    if not matched:
        raise SelectorError(
            0, f"{text!r} matches no node", "the client is the traffic itself", "name a service or a node"
        )
    return matched


def select_members(text: str, topology: Topology) -> tuple[str, ...]:
    """The nodes that a selector matches, in the topology's order. A client must be named in full: `*` means no client.

    Raises:
        SelectorError: it cannot be read, or names something that is not there.
    """
    arrow = _ARROW.search(text)
    if arrow is not None:
        raise SelectorError(
            0, f"{text!r} selects links, but nodes stand on the sides of a partition", "", "name nodes, such as n1"
        )
    words = _words(text, 0, topology, "node")
    named = {word.text for word in words}
    return tuple(n.name for n in topology.nodes if n.name in named or (n.service != CLIENT and _any(words, n)))


def _any(words: Sequence[_Word], node: Node) -> bool:
    return any(word.matches(node) for word in words)


def _words(text: str, offset: int, topology: Topology, role: str) -> list[_Word]:
    """The names of one side, each of which matches something."""
    words = list(_split(text, offset, role))
    for word in words:
        if not any(word.matches(node) for node in topology.nodes):
            known = dict.fromkeys(name for node in topology.nodes for name in (node.service, node.name))
            what = (
                f"no service or node matches {word.text!r}"
                if "*" in word.text
                else f"{word.text!r} is no service or node"
            )
            raise SelectorError(word.offset, what, "", did_you_mean(word.text, known))
    return words


def _split(text: str, offset: int, role: str) -> Iterator[_Word]:
    """Names of `a` or `[a, b]`, with where they begin."""
    stripped = text.strip()
    start = offset + len(text) - len(text.lstrip())
    if not stripped:
        raise SelectorError(start, f"the {role} is missing", "", "write a service, a node, * or a list [a, b]")
    inner = stripped
    if stripped.startswith("["):
        if not stripped.endswith("]"):
            raise SelectorError(start, "the list is not closed", "", "write [a, b]")
        inner, start = stripped[1:-1], start + 1
    elif "," in stripped:
        raise SelectorError(start, f"{stripped!r} is not a name", "", f"write a list: [{stripped}]")
    at = 0
    for piece in inner.split(","):
        name = piece.strip()
        begin = start + at + len(piece) - len(piece.lstrip())
        if not _NAME.fullmatch(name):
            raise SelectorError(begin, f"{name!r} is not a name of a service or node")
        yield _Word(name, begin)
        at += len(piece) + 1


def _turned(text: str, topology: Topology) -> str:
    """The hint for a selector that is the wrong way round: the one who dials comes first."""
    source, arrow, destination = text.partition("->")
    turned = f"{destination.strip()} -> {source.strip()}"
    if not arrow or ":" in text or source.endswith("<"):
        return ""
    words = [list(_split(side, 0, "")) for side in (destination, source)]
    for link in topology.links:
        if _any(words[0], topology.node(link.source)) and _any(words[1], topology.node(link.destination)):
            return f"did you mean {turned!r}? The one who dials comes first"
    return ""
