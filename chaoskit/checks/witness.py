"""Operations as data for people: one row of a history as a `WitnessOp`, and the words for it."""

from __future__ import annotations

from collections.abc import Iterable

from chaoskit.checks.model import WitnessOp
from chaoskit.history.frame import History
from chaoskit.history.operation import ERROR_NAMES, NONE, ErrorCode, Outcome
from chaoskit.units import format_count, format_duration

__all__ = ["at", "many", "operation", "operations", "quoted", "told"]

_LONGEST = 60


def operation(history: History, position: int) -> WitnessOp:
    """The row at a position of `history.rows`, with names and texts instead of numbers."""
    row = history.rows[position]

    def seconds(column: str) -> float | None:
        return None if row[column] == NONE else (int(row[column]) - history.origin_ns) / 1e9

    def name(table: tuple[str, ...], number: int) -> str:
        return table[number] if 0 <= number < len(table) else ""

    error = int(row["error"])
    return WitnessOp(
        index=int(row["index"]),
        process=int(row["process"]),
        source=name(history.nodes, int(row["source"])),
        node=name(history.nodes, int(row["node"])),
        cls=name(history.classes, int(row["cls"])),
        f=name(history.functions, int(row["f"])),
        key=history.text(int(row["key"])),
        value=history.text(int(row["value_id"])),
        result=history.text(int(row["result_id"])),
        due=(int(row["t_due"]) - history.origin_ns) / 1e9,
        sent=seconds("t_sent"),
        end=seconds("t_end"),
        outcome=Outcome(int(row["outcome"])).name.lower(),
        error=None if error == ErrorCode.NO_ERROR else ERROR_NAMES.get(ErrorCode(error), str(error)),
        status=None if row["status"] == NONE else int(row["status"]),
    )


def operations(history: History, positions: Iterable[int]) -> tuple[WitnessOp, ...]:
    """Several rows, in order of due time."""
    return tuple(sorted((operation(history, int(p)) for p in positions), key=lambda op: (op.due, op.index)))


def at(seconds: float | None) -> str:
    """An instant of the cell: "6.214 s"; milliseconds are kept, because witnesses are about order."""
    return "never" if seconds is None else f"{seconds:.3f} s"


def many(count: int, one: str, more: str | None = None) -> str:
    """A count with its noun: "1 operation", "3,120 operations"; `more` is the plural where it is not `one` + s."""
    return f"{format_count(count)} {one if count == 1 else more or one + 's'}"


def quoted(text: str | None) -> str:
    """A value in a sentence, shortened; "nothing" when there is none."""
    if text is None:
        return "nothing"
    return f"“{text}”" if len(text) <= _LONGEST else f"“{text[: _LONGEST - 1]}…”"


def told(op: WitnessOp) -> str:
    """What became of one operation: "resolve due at 6.214 s: 503 after 12 ms"."""
    what = f"{op.cls} due at {at(op.due)}"
    if op.end is None or op.error in ("timeout", "connect-timeout"):
        return f"{what}: no answer"
    took = format_duration(op.end - op.due)
    if op.error == "status" and op.status is not None:
        return f"{what}: status {op.status} after {took}"
    return f"{what}: {op.error or 'answered'} after {took}"
