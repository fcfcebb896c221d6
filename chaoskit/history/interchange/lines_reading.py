"""Reads JSON lines of our own (`lines.py`): every line is checked, and what is not understood is an error."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from chaoskit.errors import HistoryError
from chaoskit.history.interchange.edn import MAX_DEPTH
from chaoskit.history.interchange.json_text import decoder, fault
from chaoskit.history.interchange.open import LONGEST
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import NEVER, Mark, Operations, in_order, ranks
from chaoskit.history.values import Map, Values

__all__ = ["ABSENT", "KEYS", "OUTCOMES", "PIECE", "SCHEMA_VERSION", "Reading"]

SCHEMA_VERSION = 1

KEYS = (
    "index", "process", "session", "node", "f", "key", "value", "result",
    "began_ns", "ended_ns", "outcome", "line", "final", "invoked", "completed",
)  # fmt: skip
_INTEGERS = ("index", "process", "session", "began_ns", "ended_ns", "line", "invoked", "completed")
_HEADER = ("schema_version", "source", "marks", "notes", "real_time")
OUTCOMES = {"ok": Outcome.OK, "fail": Outcome.FAIL, "info": Outcome.INFO}
PIECE = 4_000  # lines
_SIMPLE = {int, str, bool, float, type(None)}
_LONGEST = LONGEST
_NAMED = 40  # characters of a name or value that an error quotes
ABSENT = np.iinfo(np.int64).min  # null: -1 is a time like others, before the beginning


class Reading:
    """One stream of lines on its way into columns."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._values = Values()
        self._functions: dict[str, int] = {}
        self._nodes: dict[str, int] = {}
        self._columns: dict[str, list[NDArray[Any]]] = {key: [] for key in KEYS}
        self._header: dict[str, Any] | None = None
        self._marks: tuple[Mark, ...] = ()
        self._notes: tuple[str, ...] = ()
        self._real_time = True
        self._seen: set[tuple[str, ...]] = set()  # combinations of keys that are known to be good
        self._decode = decoder().raw_decode

    def operations(self, stream: BinaryIO) -> Operations:
        """All of it.

        Raises:
            HistoryError: a line is no operation of ours, or no clients could have produced them all.
        """
        objects: list[dict[str, Any]] = []
        places: list[int] = []
        for number, line in enumerate(iter(lambda: stream.readline(_LONGEST), b""), 1):
            if len(line) == _LONGEST:
                raise self._wrong(number, f"a line of more than {_LONGEST >> 20} MB")
            found = self._object(line, number)
            if found is None:
                continue
            if "schema_version" in found:
                self._head(found, number, first=not places and not self._columns["f"])
                continue
            if (keys := tuple(found)) not in self._seen:
                self._check(keys, number)
            objects.append(found)
            places.append(number)
            if len(objects) >= PIECE:
                self._flush(objects, places)
                objects, places = [], []
        self._flush(objects, places)
        columns = {key: np.concatenate(arrays) for key, arrays in self._columns.items()}
        if not len(columns["f"]):
            raise HistoryError(self._source, 0, "holds no operations: an empty history")
        return self._made(columns)

    def _object(self, line: bytes, number: int) -> dict[str, Any] | None:
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            if not text:
                return None
            found, end = self._decode(text, 0)
            if "\\u" in text:
                json.dumps(found, ensure_ascii=False).encode()  # fails for half a surrogate pair
        except RecursionError:
            raise self._wrong(number, f"nested deeper than {MAX_DEPTH} levels") from None
        except UnicodeError:
            raise self._wrong(number, "text that is not UTF-8") from None
        except json.JSONDecodeError as error:
            raise self._wrong(number, f"no JSON: {fault(error)} in column {error.colno}") from None
        except ValueError as error:
            raise self._wrong(number, f"no JSON: {error}") from None
        if end != len(text):
            raise self._wrong(number, f"something after the object: {text[end : end + 30]!r}")
        if not isinstance(found, dict):
            raise self._wrong(number, f"{text[:30]!r} instead of an object")
        return found

    def _head(self, found: dict[str, Any], number: int, *, first: bool) -> None:
        if not first or self._header is not None:
            raise self._wrong(number, "a header (schema_version) which is not the first line")
        version = found["schema_version"]
        if type(version) is not int or not 1 <= version <= SCHEMA_VERSION:
            what = f"schema_version {version!r}; this chaoskit reads up to {SCHEMA_VERSION}"
            raise HistoryError(self._source, number, what, hint="use the chaoskit that wrote it, or a newer one")
        self._only(tuple(found), _HEADER, number)
        try:
            self._marks = tuple(Mark(str(one["label"]), int(one["rank"]), _time(one)) for one in found.get("marks", ()))
            self._notes = tuple(map(str, found.get("notes", ())))
        except (TypeError, KeyError, ValueError, AttributeError):
            what = "marks must be a list of objects with label, rank and time_ns, notes a list of texts"
            raise self._wrong(number, what) from None
        if type(real_time := found.get("real_time", True)) is not bool:
            raise self._wrong(number, "a real_time that is neither true nor false")
        self._real_time = real_time
        self._header = found

    def _check(self, keys: tuple[str, ...], number: int) -> None:
        self._only(keys, KEYS, number)
        for needed in ("process", "f", "outcome"):
            if needed not in keys:
                raise self._wrong(number, f"no {needed!r}")
        if "began_ns" not in keys and "invoked" not in keys:
            raise self._wrong(number, "neither 'began_ns' nor 'invoked': nobody knows when it began")
        self._seen.add(keys)

    def _only(self, keys: tuple[str, ...], known: tuple[str, ...], number: int) -> None:
        for key in keys:
            if key not in known:
                near = difflib.get_close_matches(key[:_NAMED], known, 1)
                meant = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
                raise self._wrong(number, f"the unknown key {key[:_NAMED]!r}; {meant}")

    def _flush(self, objects: list[dict[str, Any]], places: list[int]) -> None:
        """Turn the operations of some lines into arrays."""
        # What most lines lack is not looked for in each.
        there = set[str]().union(*{tuple(one) for one in objects})
        nothing = [None] * len(objects)
        found: dict[str, list[Any]] = {
            key: [one.get(key) for one in objects] if key in there else nothing for key in KEYS
        }
        own = self._columns
        for key in _INTEGERS:
            own[key].append(self._integers(found[key], key, places))
        own["line"][-1] = np.where(own["line"][-1] == ABSENT, np.array(places, np.int64), own["line"][-1])
        for key, names in (("f", self._functions), ("node", self._nodes)):
            column = found[key]
            if key == "f" or any(one is not None for one in column):
                self._typed(column, key, places, str, optional=key == "node")
            numbers = [NONE if one is None else names.setdefault(one, len(names)) for one in column]
            if len(names) > np.iinfo(np.int16).max:
                raise self._wrong(places[-1], f"{len(names)} different names in {key!r}: no history has so many")
            own[key].append(np.array(numbers, np.int16))
        self._typed(found["final"], "final", places, bool, optional=True)
        own["final"].append(np.array([one is True for one in found["final"]], np.bool_))
        for outcome, place in zip(found["outcome"], places, strict=True):
            if not isinstance(outcome, str) or outcome not in OUTCOMES:
                raise self._wrong(place, f"the outcome {outcome!r}; known are ok, fail, info")
        own["outcome"].append(np.array([OUTCOMES[one] for one in found["outcome"]], np.uint8))
        number = self._values.number
        for key in ("key", "value", "result"):
            column = found[key]
            if not set(map(type, column)) <= _SIMPLE:
                column = [self._value(one, place, 0) for one, place in zip(column, places, strict=True)]
            ids = list(map(number, column)) if key in there else [NONE] * len(column)
            own[key].append(np.array(ids, np.int64))

    def _integers(self, column: list[Any], key: str, places: list[int]) -> NDArray[np.int64]:
        if column.count(None) == len(column) and key != "process":
            return np.full(len(column), ABSENT, np.int64)
        self._typed(column, key, places, int, optional=key != "process")
        try:
            return np.array([ABSENT if one is None else one for one in column], np.int64)
        except OverflowError:
            at = next(at for at, one in enumerate(column) if one is not None and not -(1 << 63) < one < 1 << 63)
            raise self._wrong(places[at], f"{key} {column[at]}, beyond 64 bits") from None

    def _typed(self, column: list[Any], key: str, places: list[int], kind: type, *, optional: bool) -> None:
        allowed = {kind, type(None)} if optional else {kind}
        if not set(map(type, column)) <= allowed:
            at = next(at for at, one in enumerate(column) if type(one) not in allowed)
            name = {int: "an integer", str: "text", bool: "true or false"}[kind]
            raise self._wrong(places[at], f"{key} {json.dumps(column[at])[:_NAMED]}, which must be {name}")

    def _value(self, value: Any, place: int, depth: int) -> Any:
        """JSON as frozen data; `$set` and `$map` are what they stand for."""
        if depth > MAX_DEPTH:
            raise self._wrong(place, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, list):
            return tuple(self._value(one, place, depth + 1) for one in value)
        if not isinstance(value, dict):
            return value
        if len(value) == 1 and (name := next(iter(value))).startswith("$"):
            inner = self._value(value[name], place, depth + 1)
            if name == "$set" and isinstance(inner, tuple) and len(set(inner)) == len(inner):
                return frozenset(inner)
            if name == "$map" and isinstance(inner, tuple):
                pairs = [one for one in inner if isinstance(one, tuple) and len(one) == 2]
                if len(dict(pairs)) == len(inner):
                    return Map(pairs)
            raise self._wrong(place, f"{name!r} must be $set with different elements, or $map with pairs")
        return Map((key, self._value(inner, place, depth + 1)) for key, inner in value.items())

    def _made(self, columns: dict[str, NDArray[Any]]) -> Operations:
        line, process = columns["line"], columns["process"]
        known = columns["outcome"] != Outcome.INFO
        ordered = bool((columns["invoked"] != ABSENT).any())
        names = ("invoked", "completed") if ordered else ("began_ns", "ended_ns")
        began, ended = columns[names[0]], columns[names[1]]
        answered = columns["outcome"] == Outcome.OK
        for wrong, what in (
            (began == ABSENT, f"no {names[0]!r}, which other lines have"),
            (known & (ended == ABSENT), f"outcome ok or fail, and no {names[1]!r}"),
            (known & (ended < began), f"{names[1]} before {names[0]}"),
            (~known & (columns["completed"] != ABSENT), "'completed', which nobody knows of an outcome of info"),
            (~answered & (columns["result"] != NONE), "a result, which only an outcome of ok has"),
        ):
            if wrong.any():
                raise self._wrong(int(line[wrong].min()), what)
        index = self._numbers(columns["index"], columns["line"])
        order = np.lexsort((began, process))
        same = process[order][1:] == process[order][:-1]
        for wrong, what in (
            (same & ~known[order][:-1], "goes on after an outcome that nobody knows"),
            (same & (ended[order][:-1] > began[order][1:]), "has two operations open at one time"),
        ):
            if wrong.any():
                at = order[1:][wrong].min()
                raise HistoryError(
                    self._source,
                    int(line[at]),
                    f"process {process[at]} {what}",
                    hint="a process is a client that does one thing at a time; it gets a new number after an info",
                )
        invoked, completed = ranks(began, np.where(known, ended, NEVER))
        by_call = in_order(invoked)
        times = {name: _known_times(columns[name]) for name in ("began_ns", "ended_ns")}
        session = np.where(columns["session"] == ABSENT, process, columns["session"])
        rest = {name: columns[name] for name in ("f", "node", "key", "value", "result", "outcome", "final", "line")}
        rest |= {"index": index, "process": process, "session": session, "invoked": invoked, "completed": completed}
        return Operations.make(
            **{name: column[by_call] for name, column in (rest | times).items()},
            functions=tuple(self._functions),
            nodes=tuple(self._nodes),
            values=self._values.all,
            source=self._source,
            marks=self._marks,
            notes=self._notes,
            real_time=self._real_time,
        )

    def _numbers(self, index: NDArray[np.int64], line: NDArray[np.int64]) -> NDArray[np.int64]:
        missing = index == ABSENT
        if missing.all():
            return np.arange(len(index))
        if missing.any():
            raise self._wrong(int(line[missing].min()), "no 'index', which other lines have")
        order = np.argsort(index, kind="stable")
        twice = index[order][1:] == index[order][:-1]
        if twice.any():
            at = order[1:][twice].min()
            raise self._wrong(int(line[at]), f"the index {index[at]} of an earlier line")
        return index

    def _wrong(self, number: int, what: str) -> HistoryError:
        return HistoryError(
            self._source, number, f"found {what}", hint="expected one JSON object per operation, each on one line"
        )


def _known_times(column: NDArray[np.int64]) -> NDArray[np.int64]:
    """Times as operations have them, where -1 is one that is not known: what was at -1 is told one nanosecond later."""
    found = np.where(column == NONE, 0, column)
    return np.where(found == ABSENT, NONE, found)


def _time(mark: Mapping[str, Any]) -> int:
    time = mark.get("time_ns")
    return NONE if time is None else int(time)
