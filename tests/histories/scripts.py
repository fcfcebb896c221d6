"""Histories of transactions as tests write them down: `Script().txn("w x 1").txn("r x 1", "w y 2")`."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from chaoskit.checks.result import Model, Options, Result
from histories.simulate import Call, operations

__all__ = ["Script"]


class Script:
    """Transactions, one after the other unless times are given.

    Of lists, "a x 1" appends 1 to x, "r x 1 2" read [1 2]; of registers "w x 1" writes, "r x 1" read 1. "r x" read nil.
    """

    model: ClassVar[Model]
    lists: ClassVar[bool]

    def __init__(self) -> None:
        self.calls: list[Call] = []

    @classmethod
    def together(cls, *transactions: tuple[str, ...]) -> Self:
        """All at the same time, each by a process of its own: no order in time."""
        script = cls()
        for one in transactions:
            script.txn(*one, at=(0, 100))
        return script

    def txn(self, *micro: str, outcome: str = "ok", at: tuple[int, int] | None = None, process: int = -1) -> Self:
        """One more; a process of its own, and 5 ticks after the end of the one before it, unless told otherwise."""
        asked: list[tuple[str, str, Any]] = []
        answered: list[tuple[str, str, Any]] = []
        for one in micro:
            verb, key, *texts = one.split()
            values = tuple(map(int, texts))
            if verb == "r":
                asked.append(("r", key, None))
                answered.append(("r", key, (values if self.lists else values[0]) if values else None))
            else:
                asked.append(({"a": "append", "w": "w"}[verb], key, values[0]))
                answered.append(asked[-1])
        number = len(self.calls)
        begin, end = at or (10 * number, 10 * number + 5)
        result = tuple(answered) if outcome == "ok" else None
        who = number if process < 0 else process
        self.calls.append(Call(who, "txn", tuple(asked), None, result, outcome, begin, end))
        return self

    def check(self, level: str | None = None) -> Result:
        """What the model says."""
        return self.model.check(operations(self.calls), Options(consistency=level))

    def kinds(self) -> dict[str, int]:
        """How many anomalies of each kind it finds."""
        return {one.kind: one.count for one in self.check().anomalies}
