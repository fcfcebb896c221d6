"""The operations that count: columns of the load, cut by class, side and window, and what each of them came to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chaoskit.history.frame import History
from chaoskit.history.operation import NONE, Answer, Outcome
from chaoskit.history.windows import Span, counted

__all__ = ["Load", "Sample"]

LOAD_PHASE = 1


@dataclass(frozen=True)
class Load:
    """Operations of the load phase (no warm-up, no final reads) as contiguous columns in order of due time.

    Columns and not rows: every figure reads two or three of them over a million operations, and a strided row of 110
    bytes costs a cache line each.

    Attributes:
        position: where the operation is in `History.rows`.
        accused: whether a checker accused it.
    """

    position: NDArray[np.int64]
    due: NDArray[np.int64]
    sent: NDArray[np.int64]
    end: NDArray[np.int64]
    cls: NDArray[np.int16]
    source: NDArray[np.int16]
    answer: NDArray[np.uint8]
    outcome: NDArray[np.uint8]
    error: NDArray[np.int16]
    accused: NDArray[np.bool_]

    @classmethod
    def of(cls, history: History, accused: NDArray[np.int64] | None = None) -> Load:
        """The load of a history; `accused` are positions in its rows."""
        rows = history.rows
        position = np.flatnonzero(rows["phase"] == LOAD_PHASE)
        marked = np.zeros(len(rows), dtype=np.bool_)
        if accused is not None:
            marked[accused] = True
        return cls(
            position=position,
            due=rows["t_due"][position],
            sent=rows["t_sent"][position],
            end=rows["t_end"][position],
            cls=rows["cls"][position],
            source=rows["source"][position],
            answer=rows["answer"][position],
            outcome=rows["outcome"][position],
            error=rows["error"][position],
            accused=marked[position],
        )

    def __len__(self) -> int:
        return len(self.due)

    def where(self, chosen: slice | NDArray[np.bool_]) -> Load:
        """Some of the operations, still in order. A slice shares memory."""
        return Load(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})

    def of_class(self, class_id: int) -> Load:
        """Operations of one class."""
        return self.where(self.cls == class_id)

    def within(self, span: Span) -> Sample:
        """The operations that count for a window."""
        return Sample(self.where(counted(self.due, span)), span)


@dataclass(frozen=True)
class Sample:
    """The operations that count for one window. Masks are over `load`; shares are of `intended`."""

    load: Load
    span: Span

    @cached_property
    def asked(self) -> NDArray[np.bool_]:
        """Operations that reached the system: all but those that the harness did not send or did not see through."""
        return ~self._answered(Answer.NONE)

    @cached_property
    def yes(self) -> NDArray[np.bool_]:
        """Answered YES within the budget and before the heal."""
        load = self.load
        return self._answered(Answer.YES) & (load.end - load.due <= self.span.budget_ns) & self._before_heal

    @cached_property
    def refused(self) -> NDArray[np.bool_]:
        """Answered by an error, a refusal or a reset."""
        return self._answered(Answer.REFUSED)

    @cached_property
    def silent(self) -> NDArray[np.bool_]:
        """Not answered within the client's timeout."""
        return self._answered(Answer.SILENT)

    @cached_property
    def late(self) -> NDArray[np.bool_]:
        """Answered YES, but after the budget or after the heal."""
        return self._answered(Answer.YES) & ~self.yes

    @property
    def intended(self) -> int:
        """How many count."""
        return int(np.count_nonzero(self.asked))

    @property
    def unsent(self) -> int:
        """How many the harness did not send; in no denominator."""
        return int(np.count_nonzero(~self.asked & (self.load.outcome != Outcome.OPEN)))

    def _answered(self, answer: Answer) -> NDArray[np.bool_]:
        return np.equal(self.load.answer, int(answer), dtype=np.bool_)

    @cached_property
    def _before_heal(self) -> NDArray[np.bool_]:
        heal = self.span.heal_ns
        return np.ones(len(self.load), dtype=np.bool_) if heal is None else self.load.end <= heal

    def latency(self, since: str = "due") -> NDArray[np.float64]:
        """Seconds from `due` or `sent` to the answer: YES as measured, silence and answers after the heal as infinite.

        Refusals are left out (NaN): how fast a system says no is not how fast it works; `refused` counts them.
        """
        load = self.load
        begin = load.due if since == "due" else load.sent
        measured = (load.end - begin) / 1e9
        timely = self._answered(Answer.YES) & self._before_heal & (load.end != NONE)
        hopeless = self.silent | (self._answered(Answer.YES) & ~timely)
        return np.where(timely, measured, np.where(hopeless, np.inf, np.nan))
