"""Who dials whom: nodes in columns by their distance from the clients, bent links and hit nodes marked by number."""

from __future__ import annotations

import math

from markupsafe import Markup

from chaoskit.report.model import LinkView, NodeView, TopologyView
from chaoskit.report.svg.draw import clipped, el, figure, path, rect, text

__all__ = ["render"]

_WIDTH, _HEIGHT = 124.0, 46.0
_COLUMN, _LINE = 246.0, 84.0
_NARROW_COLUMN, _NARROW_LINE = 140.0, 104.0
_MOST_PORTS = 4  # beside links of one layer
_BULGE = 60.0  # of a bent row, for each of its nodes


def render(view: TopologyView, *, narrow: bool = False) -> Markup:
    """The picture: columns from left to right, or (narrow) rows from top to bottom."""
    places, width, height = _places(view, narrow)
    pairs = {(link.source, link.destination) for link in view.links}
    name = "topology-narrow" if narrow else "topology-wide"
    layer = {node.name: node.layer for node in view.nodes}
    within = [link for link in view.links if layer.get(link.source) == layer.get(link.destination)]
    crowd = within if len(within) > _MOST_PORTS else []  # there the ports would hide what is bent
    drawn = [
        _link(
            link,
            places[link.source],
            places[link.destination],
            name,
            both=(link.destination, link.source) in pairs,
            port=link not in crowd,
        )
        for link in sorted(view.links, key=lambda link: bool(link.faults))
        if link.source in places and link.destination in places
    ]
    return figure(
        name,
        width,
        height,
        "Topology of the target",
        view.description,
        _arrowheads(name),
        *(lines for lines, _ in drawn),
        *(_node(node, *places[node.name]) for node in view.nodes),
        *(badge for _, badge in drawn),
    )


def _places(view: TopologyView, narrow: bool) -> tuple[dict[str, tuple[float, float]], float, float]:
    """The centre of every node, and the size of the picture. Layers follow each other; nodes of one layer stand in a
    row, which is bent where they dial each other: else their links would run through one another.
    """
    layers: dict[int, list[NodeView]] = {}
    for node in sorted(view.nodes, key=lambda node: (node.layer, node.rank)):
        layers.setdefault(node.layer, []).append(node)
    links = {(link.source, link.destination) for link in view.links}
    step, line = (_NARROW_COLUMN, _NARROW_LINE) if narrow else (_LINE, _COLUMN)
    most = max(map(len, layers.values()), default=1)
    places: dict[str, tuple[float, float]] = {}  # along the layer, across the layers
    at = 0.0
    for nodes in layers.values():
        names = [node.name for node in nodes]
        peers = len(names) > 2 and any((a, b) in links for a in names for b in names)
        bulge = _BULGE * len(names) if peers else 0.0
        for i, name in enumerate(names):
            along = (most - 1) * step / 2 + (i - (len(names) - 1) / 2) * step
            places[name] = along, at + bulge * math.sin(math.pi * i / (len(names) - 1 or 1))
        at += bulge + line
    size = (most - 1) * step, max(at - line, 0.0)
    if narrow:
        found = {name: (x + _WIDTH / 2 + 20, y + _HEIGHT / 2 + 14) for name, (x, y) in places.items()}
        return found, size[0] + _WIDTH + 48, size[1] + _HEIGHT + 44
    found = {name: (y + _WIDTH / 2 + 8, x + _HEIGHT / 2 + 22) for name, (x, y) in places.items()}
    return found, size[1] + _WIDTH + 48, size[0] + _HEIGHT + 44


def _arrowheads(name: str) -> Markup:
    def head(kind: str) -> Markup:
        tip = path("M0,0L9,4.5L0,9z", f"head {kind}")
        return el(
            "marker", tip, id=f"{name}-{kind}", viewBox="0 0 9 9", refX=8.5, refY=4.5,
            markerWidth=9, markerHeight=9, orient="auto", markerUnits="userSpaceOnUse",
        )  # fmt: skip

    return el("defs", head("whole"), head("bent"))


def _node(node: NodeView, x: float, y: float) -> Markup:
    hit = " hit" if node.faults else ""
    parts = [
        rect(x - _WIDTH / 2, y - _HEIGHT / 2, _WIDTH, _HEIGHT, f"node{hit}", rx=7),
        text(
            x, y - 2 if node.kind else y + 4, clipped(node.name, _WIDTH - 12, 13), anchor="middle", class_="node-name"
        ),
        text(x, y + 14, clipped(node.kind, _WIDTH - 12, 11), anchor="middle", class_="tick"),
    ]
    parts += [_badge(x + _WIDTH / 2 - 4 - 20 * i, y - _HEIGHT / 2, fault) for i, fault in enumerate(node.faults)]
    return Markup("").join(parts)


def _link(
    link: LinkView, start: tuple[float, float], end: tuple[float, float], name: str, *, both: bool, port: bool
) -> tuple[Markup, Markup]:
    """The line, and (drawn above everything) its port and fault numbers."""
    kind = "bent" if link.faults else "whole"
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy) or 1.0
    # A pair that dials both ways is drawn as two arcs; so is a link that would pass through its own column.
    bow = 26.0 if both else 0.0
    mx, my = (start[0] + end[0]) / 2 - dy / length * bow, (start[1] + end[1]) / 2 + dx / length * bow
    x1, y1 = _border(start, (mx, my))
    x2, y2 = _border(end, (mx, my))
    d = f"M{x1:.1f},{y1:.1f}Q{mx:.1f},{my:.1f} {x2:.1f},{y2:.1f}"
    cx, cy = (x1 + 2 * mx + x2) / 4, (y1 + 2 * my + y2) / 4
    badges = [_badge(cx + 20 * (i - (len(link.faults) - 1) / 2), cy, fault) for i, fault in enumerate(link.faults)]
    side = 0.0 if abs(dx) >= abs(dy) else 12.0
    y = cy - (15 if link.faults else 6) + side
    label = text(cx + side, y, f":{link.port}", anchor="start" if side else "middle", class_="tick halo")
    above = [label, *badges] if port else badges
    return path(d, f"link {kind}", marker_end=f"url(#{name}-{kind})"), Markup("").join(above)


def _border(box: tuple[float, float], towards: tuple[float, float]) -> tuple[float, float]:
    """Where the line from a box's centre leaves the box."""
    dx, dy = towards[0] - box[0], towards[1] - box[1]
    if dx == 0 and dy == 0:
        return box
    factor = min(
        (_WIDTH / 2 + 3) / abs(dx) if dx else math.inf,
        (_HEIGHT / 2 + 3) / abs(dy) if dy else math.inf,
    )
    return box[0] + dx * factor, box[1] + dy * factor


def _badge(x: float, y: float, number: int) -> Markup:
    return el("circle", cx=x, cy=y, r=9.5, class_="badge-dot") + text(
        x, y + 4, str(number), anchor="middle", class_="badge-text"
    )
