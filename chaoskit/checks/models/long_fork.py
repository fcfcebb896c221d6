"""Model `long-fork`: two reads that saw two writes in different orders, as in parallel snapshot isolation.

    write [[w k v]]              the only write of its key that there ever is
    read [[r k nil] [r l nil]]   answers [[r k v] [r l nil]]: one snapshot of a group of keys; nil: not written yet

Of two snapshots of one group, one must have seen every write that the other has seen. If each has seen a write that the
other has not, no order of the two writes explains both. A group's snapshots are in order iff, sorted by how many keys
they saw, each contains the one before it: no pair is looked at twice, however many reads there are.

That is exact for snapshot isolation, and for serializability, as the writes do not read: neither asks for real time, so
the orders of two groups never contradict each other. Where groups share keys it is necessary only. A nil that was read
although the write had been acknowledged refutes strict serializability and is counted (`nil-after-ack`).

Source: jepsen.tests.long-fork; Sovran et al., Transactional storage for geo-replicated systems (2011), section 4.
"""

from __future__ import annotations

import random as randomness
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.forms import answering, only, unlike
from chaoskit.checks.levels import TRANSACTIONS, implied, strongest_left, weakest
from chaoskit.checks.result import Alteration, Anomaly, Options, Result, judged
from chaoskit.checks.words import called, shortened
from chaoskit.history.operations import NEVER, Operations
from chaoskit.history.values import Values, shown

__all__ = ["MODEL", "LongFork"]

_Ints = NDArray[np.int64]
_LEVELS = ("snapshot-isolation", "serializable")
_KINDS = {
    "thin-air": "read-uncommitted",
    "aborted-read": "read-committed",
    "future-read": "read-uncommitted",
    "nil-after-ack": "strict-serializable",
}
EXPECTED = "of any two snapshots of a group, one has seen all that the other has seen"


@dataclass(frozen=True)
class _Write:
    """The one write of a key. `acknowledged`: NEVER where it was not."""

    position: int
    value: int
    failed: bool
    invoked: int
    acknowledged: int


@dataclass(frozen=True)
class _Snapshot:
    """One distinct answer: what was read per key (numbers of keys and values), the positions of its reads, when the
    first of them ended, and when the last of them began.
    """

    entries: tuple[tuple[int, int | None], ...]
    reads: _Ints
    ended: int
    began: int

    @property
    def seen(self) -> frozenset[int]:
        """The keys that were written, as it says."""
        return frozenset(key for key, value in self.entries if value is not None)


_Groups = dict[frozenset[int], list[_Snapshot]]


def _other_half(operations: Operations, position: int, random: randomness.Random) -> Operations | None:
    """A snapshot that missed a write that it saw, and has already seen one that it did not."""
    answer = operations.of_value(operations.result[position])
    if operations.function(position) not in ("read", "txn") or not isinstance(answer, tuple):
        return None
    seen = [at for at, one in enumerate(answer) if one[0] == "r" and one[2] is not None]
    unseen = [at for at, one in enumerate(answer) if one[0] == "r" and one[2] is None]
    random.shuffle(unseen)
    values = {
        asked[0][1]: asked[0][2]
        for asked in (operations.of_value(number) for number in operations.value[operations.named("write", "txn")])
        if asked[0][0] == "w"
    }
    target = next((at for at in unseen if answer[at][1] in values), None)
    if not seen or target is None:
        return None
    lost = random.choice(seen)
    changed = list(answer)
    changed[lost] = (*answer[lost][:2], None)
    changed[target] = (*answer[target][:2], values[answer[target][1]])
    return answering(operations, position, tuple(changed))


class LongFork:
    """Judges `read` and `write` (or `txn`) of groups of `Options.group_size` keys. Beside `long-fork`: `thin-air`,
    `aborted-read`, `future-read`, and `nil-after-ack`, which refutes strict serializability and nothing weaker.
    Exposed: reads of groups that were read more than once.
    """

    name = "long-fork"
    summary = "write [[w k v]] once per key, read [[r k v] …] of a group: all reads agree on the order of writes"
    functions = frozenset({"read", "write", "txn"})
    levels = _LEVELS
    alterations = (Alteration("long-fork", _other_half),)

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history; see the module for the rules.

        Raises:
            HistoryError: another function, operations of another form, a key that is written twice, or groups of
                another size than was said.
        """
        only(operations, self.name, self.functions)
        keys, values = Values(), Values()
        writes = _writes(operations, keys, values)
        groups = _groups(operations, keys, values, options.group_size)
        anomalies = [*_origins(operations, writes, groups, keys.all), *_forks(operations, writes, groups, keys.all)]
        shared = sum(map(len, groups)) > len(frozenset[int]().union(*groups))
        notes = (
            ["groups share keys, and only snapshots of one group were compared: a necessary condition"]
            if shared
            else []
        )
        level = options.consistency or _LEVELS[0]
        refuted = {one.level for one in anomalies}
        counts = [sum(len(one.reads) for one in snapshots) for snapshots in groups.values()]
        return judged(
            self.name,
            level,
            EXPECTED,
            len(operations),
            sum(count for count in counts if count > 1),
            tuple(anomalies),
            implied(level),
            exact=not notes,
            notes=tuple(notes),
            refuted=weakest(refuted, TRANSACTIONS),
            not_refuted=strongest_left(refuted, tuple(one for one in TRANSACTIONS if one in _LEVELS)),
            numbers={"groups": float(len(groups)), "snapshots": float(sum(counts))},
        )


def _micro(operations: Operations, position: int, value: Any) -> tuple[tuple[Any, ...], ...]:
    """The micro-operations of an operation, all of them reads, or all of them writes."""
    if not isinstance(value, tuple) or not value or not all(isinstance(one, tuple) and len(one) == 3 for one in value):
        raise unlike(operations, position, "is neither a write [[w k v]] nor a read [[r k v] …]")
    if len({one[0] for one in value} & {"r", "w"}) != 1 or not {one[0] for one in value} <= {"r", "w"}:
        raise unlike(operations, position, "is neither one write [[w k v]] nor nothing but reads [[r k v] …]")
    return value


def _writes(operations: Operations, keys: Values, values: Values) -> dict[int, _Write]:
    found: dict[int, _Write] = {}
    failed, ok = operations.failed, operations.ok
    for position in np.flatnonzero(operations.named("write", "txn")).tolist():
        asked = _micro(operations, position, operations.of_value(operations.value[position]))
        if asked[0][0] == "r":
            continue
        if len(asked) != 1 or asked[0][2] is None:
            raise unlike(operations, position, "is no write of one value to one key, [[w k v]]")
        key = keys.number(asked[0][1])
        if key in found:
            twice = f"writes {shown(asked[0][1])}, which {called(operations, found[key].position)} writes too"
            raise unlike(operations, position, twice, hint="in this model every key is written once")
        acknowledged = int(operations.completed[position]) if ok[position] else NEVER
        found[key] = _Write(
            position,
            values.number(asked[0][2]),
            bool(failed[position]),
            int(operations.invoked[position]),
            acknowledged,
        )
    return found


def _groups(operations: Operations, keys: Values, values: Values, size: int | None) -> _Groups:
    """Distinct snapshots by the keys that they are of. Many reads share few answers: each is taken apart once."""
    answered = np.flatnonzero(operations.ok & operations.named("read", "txn"))
    answered = answered[np.argsort(operations.result[answered], kind="stable")]
    numbers = operations.result[answered]
    found: _Groups = {}
    if not len(answered):
        return found
    starts = np.append(0, np.flatnonzero(np.diff(numbers)) + 1)
    ended = np.minimum.reduceat(operations.completed[answered], starts).tolist()
    began = np.maximum.reduceat(operations.invoked[answered], starts).tolist()
    for reads, end, begin in zip(np.split(answered, starts[1:]), ended, began, strict=True):
        first = int(reads[0])
        answer = _micro(operations, first, operations.of_value(operations.result[first]))
        if answer[0][0] == "w":
            continue
        entries = tuple((keys.number(one[1]), None if one[2] is None else values.number(one[2])) for one in answer)
        group = frozenset(key for key, _ in entries)
        if len(group) != len(entries):
            raise unlike(operations, first, "reads a key twice")
        if size is not None and len(group) != size:
            raise unlike(operations, first, f"reads {len(group)} keys, but groups have {size}")
        found.setdefault(group, []).append(_Snapshot(entries, reads, end, begin))
    return found


def _origins(
    operations: Operations, writes: dict[int, _Write], groups: _Groups, names: Sequence[Any]
) -> Iterator[Anomaly]:
    """Values that nobody wrote, that were never written, or that were written later."""
    accused: dict[str, list[int]] = {}
    first: dict[str, tuple[int, int]] = {}
    for snapshot in (one for snapshots in groups.values() for one in snapshots):
        for key, value in snapshot.entries:
            write, reads, kind = writes.get(key), snapshot.reads, ""
            if value is None:
                if write is not None and snapshot.began > write.acknowledged:
                    kind, reads = "nil-after-ack", reads[operations.invoked[reads] > write.acknowledged]
            elif write is None or write.value != value:
                kind = "thin-air"
            elif write.failed:
                kind = "aborted-read"
            elif snapshot.ended < write.invoked:
                kind, reads = "future-read", reads[operations.completed[reads] < write.invoked]
            if kind:
                accused.setdefault(kind, []).extend(reads.tolist())
                first.setdefault(kind, (int(reads[0]), key))
    for kind, level in _KINDS.items():
        if kind not in first:
            continue
        read, key = first[kind]
        write = writes.get(key)
        by = called(operations, write.position) if write is not None else "the write"
        why = {
            "thin-air": "found a value that nobody ever wrote",
            "aborted-read": f"found the value of {by}, which had failed",
            "future-read": f"found the value of {by}, which had not begun when it ended",
            "nil-after-ack": f"found nothing, although {by} had been acknowledged before it began",
        }[kind]
        sentence = f"under {shortened(shown(names[key]))}, {called(operations, read)} {why}"
        witness = (read,) if write is None or kind == "thin-air" else (read, write.position)
        found = np.unique(np.array(accused[kind], dtype=np.int64))
        yield Anomaly(kind, level, len(found), tuple(sorted(witness)), sentence, found)


def _forks(
    operations: Operations, writes: dict[int, _Write], groups: _Groups, names: Sequence[Any]
) -> Iterator[Anomaly]:
    accused: list[_Ints] = []
    fork: tuple[_Snapshot, _Snapshot] | None = None
    for snapshots in groups.values():
        snapshots.sort(key=lambda one: len(one.seen))
        chain = snapshots[:1]
        for snapshot in snapshots[1:]:
            if chain[-1].seen <= snapshot.seen:
                chain.append(snapshot)
            else:
                accused.append(snapshot.reads)
                fork = fork or (chain[-1], snapshot)
    if fork is not None:
        one, other = fork
        left, right = min(one.seen - other.seen), min(other.seen - one.seen)
        reads = (int(one.reads[0]), int(other.reads[0]))
        there, missing = shortened(shown(names[left])), shortened(shown(names[right]))
        sentence = (
            f"{called(operations, reads[0])} saw {there} written and {missing} not; "
            f"{called(operations, reads[1])} saw them the other way round"
        )
        witness = {*reads, *(writes[key].position for key in (left, right) if key in writes)}
        found = np.sort(np.concatenate(accused))
        yield Anomaly("long-fork", "snapshot-isolation", len(found), tuple(sorted(witness)), sentence, found)


MODEL = LongFork()
