"""How stale the answers behind a claim were: in every window, on every side of its partition, from every node asked."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.conditions import Evidence
from chaoskit.checks.model import StaleAnswers
from chaoskit.checks.quantiles import PER_MILLE, nearest_rank, needed
from chaoskit.checks.sides import standing
from chaoskit.checks.staleness import Staleness
from chaoskit.history.windows import Span, counted
from chaoskit.stack.passages import named_sides

__all__ = ["VISIBLE_MS", "stale_answers"]

VISIBLE_MS = (10.0, 100.0, 1000.0)
_RANKS = tuple(PER_MILLE[name] for name in ("p50", "p99", "max"))


def stale_answers(evidence: Evidence, staleness: Staleness, place: NDArray[np.int64]) -> tuple[StaleAnswers, ...]:
    """One entry per window, beside it one per side, and for the whole run one per node that answered.

    Args:
        place: position in the history's rows of every operation that `staleness` is of.
    """
    rows = place[staleness.read]
    return tuple(
        _of(staleness.where(chosen[rows]), window, side, node) for window, side, node, chosen in _parts(evidence)
    )


def _parts(evidence: Evidence) -> Iterator[tuple[str, str | None, str | None, NDArray[np.bool_]]]:
    """Name of the window, of the side and of the node, and the mask of rows. What is empty for want of rows is there:
    that nobody got an answer is worth knowing.
    """
    history = evidence.history
    for span in _windows(evidence):
        within = np.zeros(len(history.rows), dtype=np.bool_)
        within[counted(history.rows["t_due"], span)] = True
        yield span.name, None, None, within
        sides = named_sides(evidence.sides.get(_partition(evidence, span), {}))
        stood = standing(history, sides)
        for number, name in enumerate(sides):
            yield span.name, name, None, within & (stood == number)
        if span.kind == "whole":
            nodes = np.unique(history.rows["node"][within & (history.rows["node"] >= 0)])
            for number in nodes.tolist() if len(nodes) > 1 else ():
                yield span.name, None, history.nodes[number], within & (history.rows["node"] == number)


def _windows(evidence: Evidence) -> list[Span]:
    """In order of time, the whole first; `steady` only where it is not the same as `during`."""
    found = []
    for span in evidence.spans.values():
        during = evidence.spans.get(("during", span.of))
        if span.kind != "steady" or during is None or span.start_ns > during.start_ns:
            found.append(span)
    return sorted(found, key=lambda span: (span.kind != "whole", span.start_ns, -span.end_ns))


def _partition(evidence: Evidence, span: Span) -> str:
    """Whose sides are meant: those of the window's own partition, before it those of the only one there is."""
    if span.kind == "before" and len(evidence.sides) == 1:
        return next(iter(evidence.sides))
    return span.of or ""


def _of(chosen: Staleness, window: str, side: str | None, node: str | None) -> StaleAnswers:
    count = len(chosen.read)
    age = nearest_rank(chosen.age_ns / 1e9, _RANKS)
    versions = nearest_rank(chosen.versions.astype(np.float64), _RANKS)
    known = [count >= needed(rank) for rank in _RANKS]
    return StaleAnswers(
        window=window,
        side=side,
        node=node,
        answers=count,
        stale=int(np.count_nonzero(chosen.stale)),
        age=tuple(one if there and chosen.timed else None for one, there in zip(age, known, strict=True)),
        versions=tuple(int(one) if there else None for one, there in zip(versions, known, strict=True)),
        visible=tuple(chosen.visible(VISIBLE_MS)) if count and chosen.timed else (),
    )
