"""Models of one's own: a class with `step(state, op) -> state | None`, judged by search.

    class Counter:
        initial = 0

        def step(self, state, op):
            if op.f == "add":
                return state + op.value
            return state if op.result in (state, None) else None

`step` is asked what an operation does to a state: it returns the next state, or None where the operation cannot have
been answered so in that state. It must be a function of its arguments; it is asked once for every pair that differs.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.elements import dense
from chaoskit.checks.forms import answering_id
from chaoskit.checks.linearize import Machine, Puzzle
from chaoskit.checks.result import Alteration, Options, Result
from chaoskit.checks.searching import LEVEL, by_key, searched
from chaoskit.checks.words import called
from chaoskit.errors import CheckerError, UsageError
from chaoskit.history.operation import Outcome
from chaoskit.history.operations import Operations
from chaoskit.history.values import identity
from chaoskit.units import format_count

__all__ = ["Op", "UserModel", "wrap"]

_REMEDY = "let states be as few as possible, partition operations that do not meet"


class Op:
    """One operation, as the user's `step` and `partition` are given it.

    Attributes:
        f: what was done. key, value: what was asked; None for nothing. result: what was answered; None for nothing, and
            for operations of unknown outcome. outcome: "ok", or "info": nobody knows whether it happened.
        process: who did it. index: how the file numbers it.
    """

    __slots__ = ("_asked", "_index", "_key", "_process", "f", "outcome", "result", "value")

    def __init__(self, ok: bool, f: str, told: tuple[Any, Any, Any], process: int, index: int, asked: set[str]) -> None:
        self.f = f
        self._key, self.value, result = told
        self.result = result if ok else None
        self.outcome = "ok" if ok else "info"
        self._process, self._index = process, index
        self._asked = asked  # operations that differ only in what is never asked for are the same to the model

    @property
    def key(self) -> Any:
        """Of the object that was touched; None where there is one only."""
        self._asked.add("key")
        return self._key

    @property
    def process(self) -> int:
        """Who did it: a client that does one thing at a time."""
        self._asked.add("process")
        return self._process

    @property
    def index(self) -> int:
        """How the file numbers it."""
        self._asked.add("index")
        return self._index

    def __repr__(self) -> str:
        told = f"f={self.f!r}, key={self.key!r}, value={self.value!r}, result={self.result!r}"
        return f"Op({told}, process={self.process}, index={self.index}, outcome={self.outcome!r})"

    @classmethod
    def all(cls, operations: Operations, asked: set[str]) -> list[Op]:
        """Every operation of a history; what is asked of any of them is added to `asked`."""
        values = [*operations.values, None]  # the last one is that of NONE
        told = (
            [values[one] for one in column.tolist()] for column in (operations.key, operations.value, operations.result)
        )
        rows = zip(
            operations.ok.tolist(),
            map(operations.functions.__getitem__, operations.f.tolist()),
            zip(*told, strict=True),
            operations.process.tolist(),
            operations.index.tolist(),
            strict=True,
        )
        return [cls(*row, asked) for row in rows]

    def meaning(self, asked: Iterable[str]) -> Hashable:
        """Equal for operations that the model cannot tell apart."""
        more = tuple((name, identity(getattr(self, f"_{name}"))) for name in sorted(asked))
        return (self.f, identity(self.value), identity(self.result), self.outcome, more)


class _Finer(Exception):
    """The model asked for something by which operations had not been told apart."""


@dataclass(frozen=True)
class UserModel:
    """A class of the user's as a model.

    Attributes:
        own: the user's object. per_key: keys are judged one by one, because it does not say how to partition.
    """

    own: Any
    name: str
    summary: str
    functions: frozenset[str]
    alterations: tuple[Alteration, ...]
    per_key: bool
    levels: tuple[str, ...] = (LEVEL,)

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history. Exposed are the operations that were answered.

        Raises:
            UsageError: the states of the model cannot be hashed. CheckerError: its `step` or `partition` failed.
        """
        initial = getattr(self.own, "initial", None) if options.initial is None else options.initial
        _hashable(initial, f"`initial` of the model {self.name}")
        asked: set[str] = set()
        ops = Op.all(operations, asked)
        parts = self._parts(operations, ops)
        asked.clear()
        failed = int(operations.failed.sum())
        while True:
            told_apart = frozenset(asked)
            try:
                return searched(
                    self.name,
                    operations,
                    self._puzzles(operations, ops, parts, initial, told_apart, asked),
                    len(parts),
                    options,
                    expected="some order of the operations explains every answer",
                    exposed=int(operations.ok.sum()),
                    remedy=_REMEDY,
                    notes=(f"operations that failed, and take no part: {format_count(failed)}",) if failed else (),
                )
            except _Finer:
                continue

    def _parts(self, operations: Operations, ops: list[Op]) -> list[NDArray[np.int64]]:
        """Operations that share no state are judged by themselves: by key, or as the user says."""
        partition = getattr(self.own, "partition", None)
        if partition is None:
            return by_key(operations, ~operations.failed)
        numbers: dict[Hashable, int] = {}
        column = dense(operations)
        for at, op in enumerate(ops):
            try:
                column[at] = numbers.setdefault(identity(partition(op)), len(numbers))
            except Exception as error:
                raise self._failed("partition", operations, at, error) from error
        return by_key(operations.altered(key=column), ~operations.failed)

    def _puzzles(
        self,
        operations: Operations,
        ops: list[Op],
        parts: list[NDArray[np.int64]],
        initial: Hashable,
        told_apart: frozenset[str],
        asked: set[str],
    ) -> Iterator[tuple[NDArray[np.int64], Puzzle]]:
        numbers: dict[Hashable, int] = {}
        example: list[int] = []  # of every kind of operation
        kinds = [-1] * len(ops)
        for at in np.flatnonzero(~operations.failed).tolist():
            kinds[at] = numbers.setdefault(ops[at].meaning(told_apart), len(numbers))
            if kinds[at] == len(example):
                example.append(at)

        def step(state: Hashable, kind: int) -> Hashable | None:
            at = example[kind]
            try:
                following: Hashable | None = self.own.step(state, ops[at])
            except Exception as error:
                raise self._failed("step", operations, at, error, state) from error
            if asked - told_apart:
                raise _Finer
            _hashable(following, f"what `step` of the model {self.name} returned for {called(operations, at)}")
            return following

        machine = Machine(step, initial)
        for part in parts:
            times = operations.invoked[part].tolist(), operations.completed[part].tolist()
            yield part, Puzzle(*times, [kinds[at] for at in part.tolist()], machine)

    def _failed(self, what: str, operations: Operations, at: int, error: Exception, state: Any = ...) -> CheckerError:
        place = error.__traceback__.tb_next if error.__traceback__ else None
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f" ({place.tb_frame.f_code.co_filename}:{place.tb_lineno})" if place is not None else ""
        after = "" if state is ... else f" after the state {state!r:.200}"
        return CheckerError(
            f"`{what}` of the model {self.name} failed for {called(operations, at)}{after}: "
            f"{type(error).__name__}: {error}{where}",
            hint=f"{what} must answer for every state and operation"
            + ("; None says that this cannot have been answered" if what == "step" else ""),
        )


def wrap(own: Any) -> UserModel:
    """The user's class, or an object of it, as a model.

    It has `step(state, op) -> state | None`, and may have `initial` (the first state; None if left out), `functions`
    (names of the operations that it is about; all if left out) and `partition(op) -> key` (operations with different
    keys share no state; `op.key` if left out). States must be hashable.

    Raises:
        UsageError: it cannot be made, or has no such `step`.
    """
    name = getattr(own, "__qualname__", type(own).__qualname__)
    try:
        made = own() if inspect.isclass(own) else own
    except Exception as error:
        raise UsageError(f"your model {name} cannot be made: {type(error).__name__}: {error}") from error
    functions = getattr(made, "functions", ())
    if isinstance(functions, str) or not all(isinstance(one, str) for one in functions):
        raise UsageError(f"`functions` of your model {name} is no set of names", hint='functions = {"read", "write"}')
    for method, arguments in (("step", 2), ("partition", 1)):
        _takes(getattr(made, method, None), method, arguments, name)
    return UserModel(
        own=made,
        name=name,
        summary=(inspect.getdoc(own) or "a model of your own").partition("\n")[0],
        functions=frozenset(functions),
        alterations=(Alteration("other-answer", _other_answer),),
        per_key=not hasattr(made, "partition"),
    )


def _takes(method: Callable[..., Any] | None, what: str, arguments: int, name: str) -> None:
    if method is None:
        return
    try:
        inspect.signature(method).bind(*range(arguments))
    except TypeError as error:
        raise UsageError(
            f"`{what}` of your model {name} cannot be called with {arguments} arguments: {error}",
            hint="step(self, state, op) and partition(self, op) are what is called",
        ) from error
    except ValueError:  # written in C: nobody can say
        return


def _hashable(state: Any, what: str) -> None:
    try:
        hash(state)
    except TypeError as error:
        raise UsageError(
            f"{what} is a state that cannot be hashed: {error}",
            hint="make states of numbers, texts, tuples, frozensets or frozen dataclasses",
        ) from error


def _other_answer(operations: Operations, position: int, random: random.Random) -> Operations | None:
    """An operation gives the answer of another one of its name; not where all that is answered is what was asked."""
    if operations.result[position] == operations.value[position]:
        return None
    same = operations.ok & (operations.f == operations.f[position]) & (operations.key == operations.key[position])
    others = np.unique(operations.result[same])
    others = others[others != operations.result[position]]
    if operations.outcome[position] != Outcome.OK or not len(others):
        return None
    return answering_id(operations, position, random.choice(others.tolist()))
