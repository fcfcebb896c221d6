"""Model `kv`: put, get and append of texts per key, as in Porcupine's tests. Exact; near-linear where it can be

A key that is never appended to is a register, and is judged as one: exact and near-linear where its values are unique.
A key that is only appended to is a list, where its texts can be taken apart in one way only; whether it is legal is
found out as for lists. Other keys are searched, one by one, and so are those that turn out to be illegal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.bugs import REGISTERS
from chaoskit.checks.elements import dense
from chaoskit.checks.forms import only, unlike
from chaoskit.checks.judging_registers import judge
from chaoskit.checks.linearize import Puzzle
from chaoskit.checks.models.append import MODEL as LISTS
from chaoskit.checks.result import Alteration, Anomaly, Options, Result, judged
from chaoskit.checks.searching import LEVEL, by_key, puzzle, searched
from chaoskit.checks.texts import as_lists, listed
from chaoskit.checks.words import called
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations
from chaoskit.units import format_count

__all__ = ["MODEL", "KvModel"]

_EXPECTED = "every get shows what the puts and appends before it left"
_REMEDY = "stamp the values (nothing is put or appended twice)"
_EXPLAINING = 2.0  # seconds for a smaller reason why a list is illegal
_AS_REGISTER = {"get": "read", "put": "write"}
_AS_KV = {"read": "get", "write": "put"}
_CALLED = re.compile(r"(operation -?\d+ \(process -?\d+: )(read|write)\b")


def _as_read(alteration: Alteration) -> Alteration:
    """A bug of registers in a `get`."""

    def apply(operations: Operations, position: int, random: Any) -> Operations | None:
        altered = alteration.apply(_renamed(operations, _AS_REGISTER), position, random)
        return None if altered is None else altered.altered(functions=operations.functions)

    return Alteration(alteration.kind, apply)


@dataclass(frozen=True)
class KvModel:
    """Texts per key; before anything is put there is the empty text, and nil is the same."""

    name: str = "kv"
    summary: str = "put, get and append of texts per key: every get shows all that was put and appended before"
    functions: frozenset[str] = frozenset({"put", "get", "append"})
    levels: tuple[str, ...] = (LEVEL,)
    alterations: tuple[Alteration, ...] = tuple(_as_read(one) for one in REGISTERS)
    per_key: bool = True

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history. Exposed are the gets that began after something of their key had been acknowledged.

        Raises:
            HistoryError: what is appended, or appended to, is no text. The history's fault.
        """
        only(operations, self.name, self.functions)
        operations = _without_empty(operations)
        initial = None if options.initial == "" else options.initial
        options = replace(options, initial=initial)
        keys = dense(operations)
        appended = np.zeros(int(keys.max(initial=-1)) + 1, dtype=np.bool_)
        appended[keys[operations.named("append")]] = True
        grows = appended[keys]
        if not grows.any():
            return _plain(self.name, operations, options)
        if grows.all():
            return _growing(self.name, operations, options)
        plain, growing = np.flatnonzero(~grows), np.flatnonzero(grows)
        first = _plain(self.name, operations.where(plain), options)
        second = _growing(self.name, operations.where(growing), options)
        return _both(operations, first, plain, second, growing)


def _lists(
    operations: Operations, options: Options
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], tuple[Anomaly, ...]]:
    """Masks of operations of keys that are lists in one way only, and of those that are illegal as such; and why."""
    keys = dense(operations)
    nothing = np.zeros(len(operations), dtype=np.bool_)
    can = listed(operations, keys)[keys]
    if options.initial is not None or not can.any():
        return nothing, nothing, ()
    at = np.flatnonzero(can)
    part = operations.where(at)
    found = LISTS.check(as_lists(part, dense(part)), replace(options, progress=None))
    if not found.anomalies:
        return can, nothing, ()
    accused = [keys[at[np.append(one.accused, one.witness).astype(np.int64)]] for one in found.anomalies]
    wrong = []
    for one in found.anomalies:
        witness = _at(at, one.witness)
        adds = operations.named("append") & (keys == keys[witness[0]])
        left_out = max(1, int(adds.sum()) - int(adds[list(witness)].sum()))  # they show elements of these, too
        sentence = _CALLED.sub(_kv_name, one.sentence)
        wrong.append(
            replace(one, level=LEVEL, witness=witness, accused=at[one.accused], sentence=sentence, left_out=left_out)
        )
    return can, np.isin(keys, np.concatenate(accused)), tuple(wrong)


def _renamed(operations: Operations, names: dict[str, str]) -> Operations:
    return operations.altered(functions=tuple(names.get(one, one) for one in operations.functions))


def _without_empty(operations: Operations) -> Operations:
    """The same with the empty text as nil."""
    empty = next((number for number, one in enumerate(operations.values) if isinstance(one, str) and not one), NONE)
    if empty == NONE:
        return operations
    value, result = (np.where(one == empty, NONE, one) for one in (operations.value, operations.result))
    return operations.altered(value=value, result=result)


def _plain(name: str, operations: Operations, options: Options) -> Result:
    """Keys that are never appended to: registers."""
    put = operations.named("put")
    result = np.where(put, NONE, operations.result)  # whatever a put answers
    found = judge(
        name,
        frozenset({"read", "write"}),
        _renamed(operations.altered(result=result), _AS_REGISTER),
        options,
    )
    told = tuple(replace(one, sentence=_CALLED.sub(_kv_name, one.sentence)) for one in found.anomalies)
    return replace(found, anomalies=told, expected=_EXPECTED)


def _kv_name(found: re.Match[str]) -> str:
    return found[1] + _AS_KV[found[2]]


def _growing(name: str, operations: Operations, options: Options) -> Result:
    """Keys that are appended to: searched."""
    texts = [operations.values[number] if number != NONE else "" for number in range(-1, len(operations.values))]
    functions = [operations.function(at) for at in range(len(operations))]
    values, results = operations.value.tolist(), operations.result.tolist()
    gets = operations.named("get")
    for at in np.flatnonzero(~gets & ~operations.failed).tolist():
        if not isinstance(texts[values[at] + 1], str):
            raise unlike(operations, at, "is no text, and texts are appended to its key", hint="append joins texts")
    initial = "" if options.initial is None else options.initial
    lists, illegal, wrong = _lists(operations, options)
    taking_part = operations.ok | (operations.info & ~gets)

    def made(part: NDArray[np.int64]) -> tuple[NDArray[np.int64], Puzzle]:
        meaning = [
            (functions[one], texts[(results if functions[one] == "get" else values)[one] + 1]) for one in part.tolist()
        ]
        shown = "\n".join(str(text) for f, text in meaning if f == "get")
        # Of unknown outcome, and part of nothing that anybody was shown: it can always be placed "never".
        unseen = operations.info[part] & [bool(text) and text not in shown for _, text in meaning]
        meaning = [one for one, out in zip(meaning, unseen.tolist(), strict=True) if not out]
        return part[~unseen], puzzle(operations, part[~unseen], meaning, _step, initial, _looks)

    def judge_by_search(chosen: NDArray[np.bool_], seconds: float) -> Result:
        parts = by_key(operations, taking_part & chosen)
        return searched(
            name,
            operations,
            (made(part) for part in parts),
            len(parts),
            replace(options, budget=seconds),
            expected=_EXPECTED,
            exposed=_exposed(operations),
            remedy=_REMEDY,
        )

    found = judge_by_search(~lists, options.budget)
    anomalies = found.anomalies
    if wrong:  # that is certain; the search may know a smaller reason
        anomalies += judge_by_search(illegal, min(options.budget, _EXPLAINING)).anomalies or wrong
        found = replace(found, verdict="refuted", refuted=LEVEL, not_refuted=None)
    return replace(found, anomalies=_merged(_named(operations, one, options) for one in anomalies))


def _named(operations: Operations, one: Anomaly, options: Options) -> Anomaly:
    """An anomaly by the name of what its witness shows by itself."""
    if one.kind == "thin-air" and (failed := _failed(operations, one.witness[0])) is not None:
        at = one.witness[0]
        risen = bool(operations.completed[failed] < operations.invoked[at])
        return replace(
            one,
            kind="resurrection" if risen else "aborted-read",
            witness=tuple(sorted((failed, at))),
            sentence=f"{called(operations, at)} shows what {called(operations, failed)} asked for, which "
            f"{'had failed before it began' if risen else 'failed'}; nothing else explains it",
        )
    if one.left_out or len(one.witness) == len(operations):
        return one
    # By itself the witness may be a register, or show something plainer: then that is what it is called.
    witness = np.asarray(one.witness, dtype=np.int64)
    alone = MODEL.check(operations.where(witness), options).anomalies
    if not alone or any(other.kind == one.kind for other in alone):
        return one
    return replace(alone[0], count=one.count, witness=_at(witness, alone[0].witness), accused=one.accused)


def _failed(operations: Operations, at: int) -> int | None:
    """An operation that failed, and whose text an answer shows."""
    shown = operations.of_value(operations.result[at])
    for failed in np.flatnonzero(operations.failed & (operations.key == operations.key[at])).tolist():
        text = operations.of_value(operations.value[failed])
        appends = operations.function(failed) == "append"
        if isinstance(text, str) and (text == shown or (appends and isinstance(shown, str) and text in shown)):
            return int(failed)
    return None


def _at(place: NDArray[np.int64], witness: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(place[one]) for one in witness)


def _merged(anomalies: Iterable[Anomaly]) -> tuple[Anomaly, ...]:
    """One anomaly of each kind."""
    kinds: dict[str, Anomaly] = {}
    for one in anomalies:
        first = kinds.get(one.kind)
        if first is None:
            kinds[one.kind] = one
        else:
            accused = np.append(first.accused, one.accused)
            kinds[one.kind] = replace(first, count=first.count + one.count, accused=accused)
    return tuple(kinds.values())


def _step(state: str, asked: tuple[str, str]) -> str | None:
    f, text = asked
    if f == "get":
        return state if state == text else None
    return text if f == "put" else state + text


def _looks(asked: tuple[str, str]) -> bool:
    return asked[0] == "get"


def _exposed(operations: Operations) -> int:
    keys = dense(operations)
    first = np.full(int(keys.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    changes = np.flatnonzero(operations.ok & ~operations.named("get"))
    np.minimum.at(first, keys[changes], operations.completed[changes])
    gets = np.flatnonzero(operations.ok & operations.named("get"))
    return int(np.count_nonzero(first[keys[gets]] < operations.invoked[gets]))


def _both(
    operations: Operations, plain: Result, at: NDArray[np.int64], growing: Result, where: NDArray[np.int64]
) -> Result:
    """One verdict over keys that are registers and keys that are not."""
    anomalies = _merged(
        replace(one, witness=_at(place, one.witness), accused=place[one.accused])
        for found, place in ((plain, at), (growing, where))
        for one in found.anomalies
    )
    reasons = (*plain.reasons, *growing.reasons)
    return judged(
        plain.model,
        LEVEL,
        _EXPECTED,
        len(operations),
        plain.exposed + growing.exposed,
        anomalies,
        reasons=reasons,
        notes=(f"gets, puts of keys that are never appended to: {format_count(len(at))}", *plain.notes, *growing.notes),
        numbers=plain.numbers,
        refuted=LEVEL if anomalies else None,
        not_refuted=LEVEL if not anomalies and not reasons else None,
    )


MODEL = KvModel()
