"""Model `immutable`: a key never resolves to another value, and no value comes out of thin air.

    write k v   v is asked to be stored; the key may be named by the client, or be the system's answer (URL shorteners);
                where nobody was told it, it is nil
    read k      answers the value, or nil

An acknowledged write says "key k resolves to v"; so does every answered read. All of these must agree per key, whenever
they happened: an immutable key has no history. Each value is written by one write only (unique stamps), so that every
value that is read can be traced to who asked for it. Exact for this rule, and linear in the number of operations.

    thin-air       a read answers a value that nobody ever asked to write
    duplicate      two acknowledged writes of different values got the same key
    changed        a read answers another value than was acknowledged, or than another read answered
    aborted-read   a read answers a value whose write certainly failed
    future-read    a read ended before the only write of its value was begun
    nil-after-ack  a read that began after its key was acknowledged found nothing

A write whose outcome is unknown may have happened: its value may be read. Its key is unknown where the system chooses
keys, so it vouches for no key and contradicts none.
"""

from __future__ import annotations

import random as randomness
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.forms import answering_id, only
from chaoskit.checks.result import Alteration, Anomaly, Options, Result, judged
from chaoskit.checks.words import shortened
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations
from chaoskit.history.values import shown

__all__ = ["EXPECTED", "MODEL", "Immutable"]

EXPECTED = "a key never resolves to another value, and no value comes out of thin air"
_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Said:
    """Who says what keys resolve to: acknowledged writes first, then answered reads."""

    position: _Ints
    key: _Ints
    value: _Ints
    is_write: NDArray[np.bool_]


def _other_value(operations: Operations, position: int, random: randomness.Random) -> Operations | None:
    """A read answers what was acknowledged under another key."""
    if operations.function(position) != "read" or operations.result[position] == NONE:
        return None
    others = operations.ok & operations.named("write") & (operations.value != NONE)
    others &= (operations.value != operations.result[position]) & (operations.completed < operations.invoked[position])
    found = np.flatnonzero(others)
    if not len(found):
        return None
    return answering_id(operations, position, int(operations.value[random.choice(found.tolist())]))


def _nothing(operations: Operations, position: int, random: randomness.Random) -> Operations | None:
    """A read finds nothing."""
    if operations.function(position) != "read" or operations.result[position] == NONE:
        return None
    return answering_id(operations, position, NONE)


class Immutable:
    """Judges `write` and `read`. Exposed: reads of acknowledged keys that answered a value."""

    name = "immutable"
    summary = "write k v, read k → v: a key never resolves to another value, and no value comes out of thin air"
    functions = frozenset({"write", "read"})
    levels: tuple[str, ...] = ()
    alterations = (Alteration("changed", _other_value), Alteration("nil-after-ack", _nothing))

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history; see the module for the rules.

        Raises:
            HistoryError: there is another function than `write` and `read`.
        """
        only(operations, self.name, self.functions)
        writes, reads = operations.named("write"), operations.named("read") & operations.ok
        acknowledged = np.flatnonzero(writes & operations.ok & (operations.key != NONE) & (operations.value != NONE))
        answered = np.flatnonzero(reads & (operations.result != NONE))
        earliest, failed = _origins(operations, np.flatnonzero(writes & (operations.value != NONE)))
        value = operations.result[answered]
        unasked = earliest[value] == NEVER
        aborted = unasked & failed[value]
        future = ~unasked & (operations.completed[answered] < earliest[value])
        # One kind per read, so that the counts add up to the operations accused; an answer of no good origin vouches
        # for nothing.
        traced = answered[~unasked & ~future]
        said = _Said(
            np.concatenate([acknowledged, traced]),
            operations.key[np.concatenate([acknowledged, traced])],
            np.concatenate([operations.value[acknowledged], operations.result[traced]]),
            np.arange(len(acknowledged) + len(traced)) < len(acknowledged),
        )
        truth = _truth(operations, said)
        wrong = said.key != NONE
        wrong[wrong] = said.value[wrong] != said.value[truth[said.key[wrong]]]
        since = np.full(len(operations.values) + 1, NEVER)
        np.minimum.at(since, operations.key[acknowledged], operations.completed[acknowledged])
        empty = np.flatnonzero(reads & (operations.result == NONE) & (operations.key != NONE))
        kinds = {
            "thin-air": answered[unasked & ~aborted],
            "duplicate": said.position[wrong & said.is_write],
            "changed": said.position[wrong & ~said.is_write],
            "aborted-read": answered[aborted],
            "future-read": answered[future],
            "nil-after-ack": empty[operations.invoked[empty] > since[operations.key[empty]]],
        }
        anomalies = [
            _anomaly(operations, kind, found, said, truth, acknowledged) for kind, found in kinds.items() if len(found)
        ]
        known = np.zeros(len(operations.values) + 1, dtype=np.bool_)
        known[said.key[said.is_write]] = True
        exposed = int(np.count_nonzero(known[operations.key[answered]]))
        numbers = {"acknowledged": float(len(acknowledged)), "answers": float(len(answered))}
        return judged(self.name, "", EXPECTED, len(operations), exposed, tuple(anomalies), numbers=numbers)


def _truth(operations: Operations, said: _Said) -> _Ints:
    """Per key, which entry of `said` is taken at its word: the first acknowledgement, else the first answer; NONE."""
    order = np.lexsort((operations.completed[said.position], ~said.is_write))[::-1]
    truth = np.full(len(operations.values) + 1, NONE, dtype=np.int64)
    truth[said.key[order]] = order  # the last of several assignments stays
    return truth


def _origins(operations: Operations, writes: _Ints) -> tuple[_Ints, NDArray[np.bool_]]:
    """Per value, when the first write of it that may have happened began (NEVER), and whether one failed."""
    value, sure = operations.value[writes], operations.failed[writes]
    earliest = np.full(len(operations.values) + 1, NEVER)
    np.minimum.at(earliest, value[~sure], operations.invoked[writes][~sure])
    failed = np.zeros(len(operations.values) + 1, dtype=np.bool_)
    failed[value[sure]] = True
    return earliest, failed


def _anomaly(
    operations: Operations, kind: str, accused: _Ints, said: _Said, truth: _Ints, acknowledged: _Ints
) -> Anomaly:
    """With the smallest set of operations that refutes by itself: what was asked for is not out of thin air, so the
    write of each value that a witness reads is in it.
    """
    one = int(accused[np.argmin(operations.completed[accused])])
    key, answer = _named(operations, int(operations.key[one])), _quoted(operations, int(operations.result[one]))
    told = f"{_who(operations, one)} of {key} answered {answer}{_at(operations, one)}"
    if kind == "thin-air":
        return Anomaly(kind, "", len(accused), (one,), f"{told}; nobody ever asked to write that", accused)
    if kind in ("duplicate", "changed"):
        other = int(said.position[truth[operations.key[one]]])
    elif kind == "nil-after-ack":
        same = acknowledged[operations.key[acknowledged] == operations.key[one]]
        other = int(same[np.argmin(operations.completed[same])])
    else:
        other = _write_of(operations, int(operations.result[one]), failed=kind == "aborted-read")
    witness = {one, other}
    if kind == "changed":
        reads = [read for read in witness if operations.function(read) == "read"]
        witness |= {_write_of(operations, int(operations.result[read])) for read in reads}
    is_write = operations.function(other) == "write"
    value = _quoted(operations, int((operations.value if is_write else operations.result)[other]))
    by = f"{_at(operations, other)} by {_who(operations, other)}"
    said_so = f"{key}: {value} was {'acknowledged' if is_write else 'read'}{by}"
    asked, began = _quoted(operations, int(operations.value[one])), _at(operations, other, began=True)
    late = f"{_at(operations, one)} by {_who(operations, one)}"
    sentence = {
        "duplicate": f"{key} was given out twice: for {value}{by} and for {asked}{late}",
        "changed": f"{said_so}, but {_who(operations, one)} answered {answer}{_at(operations, one)}",
        "aborted-read": f"{told}, although the write of it{began}, {_who(operations, other)}, had failed",
        "future-read": f"{told}, before the write of it, {_who(operations, other)}, was sent{began}",
        "nil-after-ack": f"{said_so}, but {_who(operations, one)} found nothing{_at(operations, one)}",
    }[kind]
    return Anomaly(kind, "", len(accused), tuple(sorted(witness)), sentence, accused)


def _write_of(operations: Operations, value: int, failed: bool = False) -> int:
    """The first write of a value that may have happened, or that failed."""
    same = np.flatnonzero(operations.named("write") & (operations.value == value) & (operations.failed == failed))
    return int(same[np.argmin(operations.invoked[same])])


def _who(operations: Operations, position: int) -> str:
    return f"operation {int(operations.index[position])} (process {int(operations.process[position])})"


def _at(operations: Operations, position: int, began: bool = False) -> str:
    """ " at 6.214 s", where the history knows times."""
    time = int((operations.began_ns if began else operations.ended_ns)[position])
    return "" if not operations.timed or time == NONE else f" at {time / 1e9:.3f} s"


def _named(operations: Operations, number: int) -> str:
    return shortened(shown(operations.of_value(number)))


def _quoted(operations: Operations, number: int) -> str:
    return f"“{_named(operations, number)}”"


MODEL = Immutable()
