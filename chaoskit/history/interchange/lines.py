"""JSON lines of our own: one object per operation, whatever it is, with nothing lost.

The keys are in docs/histories.md. JSON has neither sets nor maps with any keys, so objects whose one key begins with $
stand for them: `{"$set": [1, 2]}`, `{"$map": [[1, "a"]]}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from chaoskit.history.interchange.lines_reading import ABSENT, KEYS, OUTCOMES, PIECE, SCHEMA_VERSION, Reading
from chaoskit.history.interchange.writing import Texts, single_threaded
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations, ranks
from chaoskit.history.values import Map

__all__ = ["FORMAT", "Lines", "plain"]


class Lines:
    """The format `jsonl`."""

    name = "jsonl"
    extension = ".jsonl"
    cannot_carry: tuple[str, ...] = ()

    def matches(self, head: bytes, name: str) -> bool:
        """Whether the first line is an object that is a header or an operation of ours."""
        first = head.lstrip().split(b"\n", 1)[0]
        if not first.startswith(b"{"):
            return False
        try:
            found = json.loads(first)
        except (ValueError, RecursionError):
            # Longer than what is seen of it, or broken; but one of our keys at its beginning says what is meant.
            key = re.match(rb'\{\s*"(\w+)"\s*:', first)
            return key is not None and key[1].decode() in KEYS
        return "schema_version" in found or {"f", "process"} <= found.keys()

    def read(self, stream: BinaryIO, source: str) -> Operations:
        """The operations, by `invoked` and `completed` where lines have them, else by their times.

        Raises:
            HistoryError: a line is no operation of ours, or no clients could have produced them all.
        """
        return Reading(source).operations(stream)

    def write(self, operations: Operations, out: BinaryIO) -> tuple[str, ...]:
        """One line per operation, after a header with the faults and notes."""
        return _write(operations, out)


FORMAT = Lines()


def _write(operations: Operations, out: BinaryIO) -> tuple[str, ...]:
    process, renamed = single_threaded(operations)
    known = operations.completed != NEVER
    invoked, completed = ranks(operations.invoked, operations.completed)
    began, ended = operations.began_ns, operations.ended_ns
    alike = operations.timed and not (known & (ended == NONE)).any()
    if alike:
        by_time = ranks(began, np.where(known, ended, NEVER))
        alike = all(map(np.array_equal, by_time, (invoked, completed)))
    every = np.sort(np.concatenate([operations.invoked, operations.completed[known]]))
    header: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    if operations.source:
        header["source"] = operations.source
    if operations.marks:
        header["marks"] = [
            {"label": mark.label, "rank": int(np.searchsorted(every, mark.rank)), "time_ns": _or_null(mark.time_ns)}
            for mark in operations.marks
        ]
    if operations.notes:
        header["notes"] = list(operations.notes)
    if not operations.real_time:
        header["real_time"] = False
    out.write(f"{json.dumps(header, ensure_ascii=False)}\n".encode())

    texts = Texts(operations.values, lambda value: json.dumps(plain(value), ensure_ascii=False))
    functions, nodes = (
        [json.dumps(name, ensure_ascii=False) for name in names] for names in (operations.functions, operations.nodes)
    )
    outcomes = {int(number): name for name, number in OUTCOMES.items()}
    columns: list[tuple[str, NDArray[Any], Callable[[int], object]]] = [
        ("index", operations.index, int),
        ("process", process, int),
        ("session", np.where(operations.session == process, ABSENT, operations.session), int),
        ("node", _but_none(operations.node), nodes.__getitem__),
        ("f", operations.f, functions.__getitem__),
        ("key", _but_none(operations.key), texts.__getitem__),
        ("value", _but_none(operations.value), texts.__getitem__),
        ("result", _but_none(operations.result), texts.__getitem__),
        ("began_ns", _but_none(began), int),
        ("ended_ns", _but_none(ended), int),
        ("outcome", operations.outcome, lambda number: f'"{outcomes[number]}"'),
        ("line", _but_none(operations.line), int),
        ("final", np.where(operations.final, 1, ABSENT), lambda _: "true"),
    ]
    if not alike:
        columns += [("invoked", invoked, int), ("completed", np.where(known, completed, ABSENT), int)]
    for start in range(0, len(operations), PIECE):
        parts: list[list[str]] = []
        for name, column, text in columns:
            piece = column[start : start + PIECE].tolist()
            parts.append(["" if one == ABSENT else f', "{name}": {text(one)}' for one in piece])
        lines = [f"{{{''.join(row)[2:]}}}\n" for row in zip(*parts, strict=True)]
        out.write("".join(lines).encode())
    if renamed:
        return (
            f"{renamed} operations have another process: theirs did two things at once, or went on after an outcome "
            "that nobody knows; `session` is as it was",
        )
    return ()


def _but_none(column: NDArray[Any]) -> NDArray[np.int64]:
    return np.where(column == NONE, ABSENT, column.astype(np.int64))


def _or_null(time: int) -> int | None:
    return None if time == NONE else time


def plain(value: Any) -> Any:
    """A value as JSON; the other way of what `Reading` does."""
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    if isinstance(value, frozenset):
        return {"$set": sorted(map(plain, value), key=json.dumps)}
    if isinstance(value, Map):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {str(key): plain(inner) for key, inner in value.items()}
        return {"$map": [[plain(key), plain(inner)] for key, inner in value.items()]}
    return value
