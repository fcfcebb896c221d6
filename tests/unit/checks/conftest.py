"""A book in which a test writes operations down, in seconds, and gets a History back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chaoskit.history.frame import History
from chaoskit.history.operation import NONE, ROW, Answer, ErrorCode, Outcome

ORIGIN = 5_000_000_000_000


class Book:
    """Operations by hand. Every operation has a process of its own unless the test says otherwise."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._texts: list[str] = []
        self.classes = ["create", "resolve"]
        self.functions = ["write", "read"]
        self.nodes = ["client", "api"]

    def text(self, text: str | None) -> int:
        """Every mention gets an id of its own, as with several workers."""
        if text is None:
            return NONE
        self._texts.append(text)
        return len(self._texts) - 1

    def add(
        self,
        due: float,
        took: float | None = 0.01,
        *,
        cls: str = "resolve",
        f: str = "read",
        key: str | None = None,
        value: str | None = None,
        result: str | None = None,
        outcome: Outcome = Outcome.OK,
        answer: Answer = Answer.YES,
        error: ErrorCode = ErrorCode.NO_ERROR,
        status: int = NONE,
        phase: int = 1,
        process: int | None = None,
        worker: int = 0,
        late: float = 0.0,
        source: str = "client",
        unsent: bool = False,
    ) -> Book:
        start = ORIGIN + round(due * 1e9)
        self._rows.append(
            {
                "worker": worker,
                "process": len(self._rows) if process is None else process,
                "session": NONE,
                "source": self.nodes.index(source),
                "node": 1,
                "cls": self.classes.index(cls),
                "f": self.functions.index(f),
                "key": self.text(key),
                "value_id": self.text(value),
                "result_id": self.text(result),
                "t_due": start,
                "t_sent": NONE if unsent else start + round(late * 1e9),
                "t_first": NONE,
                "t_end": NONE if took is None else start + round(took * 1e9),
                "parent": NONE,
                "status": status,
                "error": error,
                "outcome": outcome,
                "answer": answer,
                "phase": phase,
                "state": 2,
            }
        )
        return self

    def write(self, due: float, key: str | None, value: str, took: float | None = 0.01, **more: Any) -> Book:
        return self.add(due, took, **{"cls": "create", "f": "write", "key": key, "value": value, **more})

    def read(self, due: float, key: str | None, result: str | None, took: float | None = 0.01, **more: Any) -> Book:
        return self.add(due, took, key=key, result=result, **more)

    def silent(self, due: float, timeout: float = 2.0, **more: Any) -> Book:
        how = {"outcome": Outcome.FAIL, "answer": Answer.SILENT, "error": ErrorCode.TIMEOUT, "took": timeout}
        return self.add(due, **{**how, **more})

    def refused(self, due: float, took: float = 0.002, status: int = 503, **more: Any) -> Book:
        how = {"outcome": Outcome.FAIL, "answer": Answer.REFUSED, "error": ErrorCode.STATUS, "status": status}
        return self.add(due, took, **{**how, **more})

    def unsent(self, due: float, **more: Any) -> Book:
        how = {"outcome": Outcome.FAIL, "answer": Answer.NONE, "error": ErrorCode.UNSENT, "unsent": True}
        return self.add(due, None, **{**how, **more})

    def history(self, damaged: tuple[str, ...] = ()) -> History:
        ordered = sorted(self._rows, key=lambda row: row["t_due"])
        names = ROW.names or ()
        rows = np.array([tuple(int(fields.get(name, 0)) for name in names) for fields in ordered], dtype=ROW)
        rows["index"] = np.arange(len(rows))
        return History(
            rows=rows,
            nodes=tuple(self.nodes),
            classes=tuple(self.classes),
            functions=tuple(self.functions),
            values=tuple(self._texts),
            origin_ns=ORIGIN,
            damaged=damaged,
        )


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def new_book() -> type[Book]:
    """For tests that need several, or one per example of hypothesis."""
    return Book
