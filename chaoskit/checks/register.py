"""Write-once registers: writes and reads of a history as columns, with one number per distinct text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chaoskit.history.frame import History
from chaoskit.history.operation import NONE, Answer, Outcome

__all__ = ["Operations", "Register"]

FINAL_PHASE = 2


@dataclass(frozen=True)
class Operations:
    """Some operations. `value` is what was asked (writes) or answered (reads; NONE = nothing there)."""

    position: NDArray[np.int64]
    key: NDArray[np.int64]
    value: NDArray[np.int64]
    sent: NDArray[np.int64]
    end: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.position)

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Operations:
        """Some of them."""
        return Operations(
            self.position[chosen], self.key[chosen], self.value[chosen], self.sent[chosen], self.end[chosen]
        )


@dataclass(frozen=True)
class Register:
    """A history as writes and reads of keys.

    Attributes:
        acknowledged: writes that are OK, with key and value.
        possible: all writes that may have happened: also unknown ones, and those of which the harness is not sure that
            they never left. `failed`: writes that certainly did not happen.
        reads: answered reads, warm-up and final reads included. `final`: the final ones of them.
        texts: how many distinct texts there are; keys and values are below it.
        foreign: how many keys were left out because something else than a write or a read touched them.
        unfinished: final reads that never got an answer.
    """

    acknowledged: Operations
    possible: Operations
    failed: Operations
    reads: Operations
    final: Operations
    texts: int
    foreign: int
    unfinished: int

    @classmethod
    def of(cls, history: History) -> Register:
        """Take a history apart. Operations other than `write` and `read` take their keys out of it: what, say, a
        delete may do to a key is not this model's to say, and the innocent are not accused.
        """
        rows = history.rows
        number = _numbers(history.values)
        f = rows["f"]
        write = _equal(f, history.functions, "write")
        read = _equal(f, history.functions, "read")
        key = number[rows["key"]]
        taken = np.zeros(len(number), dtype=np.bool_)
        others = key[~write & ~read & (rows["t_sent"] != NONE)]  # what never left has no function and touched nothing
        taken[others[others != NONE]] = True
        ours = (key == NONE) | ~taken[key]
        write, read = write & ours, read & ours

        value, result = number[rows["value_id"]], number[rows["result_id"]]
        ok = rows["outcome"] == Outcome.OK
        # FAIL without an answer is the harness's word about itself (not sent): lenient, it accuses nobody.
        surely_not = (rows["outcome"] == Outcome.FAIL) & (rows["answer"] != Answer.NONE)

        def pick(chosen: NDArray[np.bool_], values: NDArray[np.int64]) -> Operations:
            position = np.flatnonzero(chosen)
            return Operations(
                position, key[position], values[position], rows["t_sent"][position], rows["t_end"][position]
            )

        answered = read & ok & (rows["answer"] == Answer.YES)
        final = read & (rows["phase"] == FINAL_PHASE)
        return cls(
            acknowledged=pick(write & ok & (key != NONE) & (value != NONE), value),
            possible=pick(write & ~surely_not & (value != NONE), value),
            failed=pick(write & surely_not & (value != NONE), value),
            reads=pick(answered, result),
            final=pick(answered & final, result),
            texts=len(number) - 1,
            foreign=int(np.count_nonzero(taken)),
            unfinished=int(np.count_nonzero(final & ~answered)),
        )


def _numbers(texts: Sequence[str]) -> NDArray[np.int64]:
    """Text id -> the first id with that text; the last entry maps NONE (-1) to itself.

    Two workers may store one text under two ids; comparing ids alone would call that a changed value.
    """
    if len(set(texts)) == len(texts):
        return np.append(np.arange(len(texts), dtype=np.int64), np.int64(NONE))
    first: dict[str, int] = {}
    found = np.fromiter((first.setdefault(text, n) for n, text in enumerate(texts)), dtype=np.int64, count=len(texts))
    return np.append(found, np.int64(NONE))


def _equal(column: NDArray[np.int16], names: tuple[str, ...], name: str) -> NDArray[np.bool_]:
    if name not in names:
        return np.zeros(len(column), dtype=np.bool_)
    return np.equal(column, names.index(name), dtype=np.bool_)
