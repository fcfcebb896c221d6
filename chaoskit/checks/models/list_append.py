"""Model `list-append`: transactions that append to lists and read them whole; which isolation do they have?

Operations are vectors of `[append k v]` and `[r k nil]`, answered with `[r k [v …]]`; what they are called does not
matter. Values are unique per key, lists begin empty. Every write leaves its trace in all later reads, so the order of
versions is not guessed: it is read. Cycles in what must come before what are what isolation forbids.

Exact, with two exceptions that are told (`exact`, notes): where several transactions' appends to a key were never read
by anybody, their order is unknown, and snapshot isolation is refuted only by what is wrong in every order (all other
levels stay exact: whatever order the rest leaves possible will do); and above 16 such appends of one key, not all of
them are compared with all reads.

Source: Kingsbury and Alvaro, Elle: Inferring Isolation Anomalies from Experimental Observations (VLDB 2020).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from chaoskit.checks.result import Alteration, Options, Result
from chaoskit.checks.transactions.anomalies import LEVELS, Found, altering, decided
from chaoskit.checks.transactions.cycles import Cycle, cycles
from chaoskit.checks.transactions.graph import WR, WW
from chaoskit.checks.transactions.list_reads import of_reads
from chaoskit.checks.transactions.list_rules import of_cycles, of_order, proof
from chaoskit.checks.transactions.lists import Lists, Unseen
from chaoskit.checks.transactions.micro import flatten
from chaoskit.checks.transactions.words import around
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations
from chaoskit.units import format_count

__all__ = ["MODEL", "ListAppend"]


@dataclass(frozen=True)
class ListAppend:
    """Judges list-append histories.

    Of what it is given, committed transactions that read a key to which another transaction appended are exposed.
    """

    name: str = "list-append"
    summary: str = "transactions of [append key value] and [r key nil → list]: which isolation level is not refuted"
    functions: frozenset[str] = frozenset({"txn"})
    levels: tuple[str, ...] = LEVELS
    alterations: tuple[Alteration, ...] = ()

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history.

        Raises:
            HistoryError: an operation is no such transaction, or a value is appended to a key twice.
        """
        micro = flatten(operations, "append", lists=True)
        everything = Lists.of(operations, micro)
        lists = everything.clean()
        edges, reads, unseen = lists.edges()
        found = [*of_reads(everything), *of_order(lists, reads)]
        rings, knotted = cycles(operations, edges, lists.committed)
        if knotted.any():
            found += of_cycles(lists, edges, knotted)
        for ring in rings:
            found.append(_told(lists, ring, ring.kind))
            if ring.long_fork:
                found.append(_told(lists, ring, "long-fork"))
        snapshot = options.consistency == "snapshot-isolation"
        return decided(
            self.name,
            operations,
            micro,
            edges,
            lists.committed,
            found,
            options,
            exact=lists is everything and not unseen.many and not (unseen.several and snapshot),
            notes=_notes(everything, lists, unseen, snapshot),
        )


def _told(lists: Lists, ring: Cycle, kind: str) -> Found:
    """A cycle with the reads that prove the order of versions it goes by, and in words."""
    operations, micro, edges = lists.operations, lists.micro, ring.edges
    witness = set(edges.source.tolist())
    for label, write in zip(edges.label.tolist(), edges.write.tolist(), strict=True):
        if label == WW:
            shows = write if lists.position[write] != NONE else lists.before(write)
            witness.add(proof(lists, shows, witness))
    for txn in [one for one in witness if operations.info[one]]:  # that it happened is known from who saw it
        seen = np.flatnonzero((micro.write_txn == txn) & (lists.position != NONE))
        if len(seen) and not any(_shows(lists, int(one), witness) for one in seen):
            witness.add(proof(lists, int(seen[0]), witness))

    def why(at: int) -> str:
        write, label = int(edges.write[at]), int(edges.label[at])
        target = int(operations.index[edges.target[at]])
        key, value = micro.key(int(micro.write_key[write])), micro.value(int(micro.write_value[write]))
        if label == WR:
            return f"operation {target} read the {value} that it appended to {key}"
        if label == WW:
            before = lists.before(write)
            return (
                f"operation {target} appended {value} to {key} after its {micro.value(int(micro.write_value[before]))}"
            )
        return f"it read {key} without the {value} that operation {target} appended"

    return Found(kind, ring.count, tuple(sorted(witness)), around(operations, edges, why), ring.accused)


def _shows(lists: Lists, append: int, witness: set[int]) -> bool:
    return proof(lists, append, witness) in witness


def _notes(everything: Lists, lists: Lists, unseen: Unseen, snapshot: bool) -> list[str]:
    notes = []
    if lists is not everything:
        dropped = len(np.unique(everything.micro.read_txn)) - len(np.unique(lists.micro.read_txn))
        notes.append(
            f"{format_count(dropped)} transactions are left out of the order of transactions, because reads of a key "
            "that they read contradict each other"
        )
    if len(unseen.append):
        count = format_count(len(unseen.append))
        notes.append(f"{count} appends that happened were read by nobody: they count as the last of their key")
    if unseen.several and snapshot:
        notes.append(
            f"the order of such appends is unknown for {format_count(unseen.several)} keys: only what is wrong in "
            "every order is told; reading every key at the end would settle it"
        )
    if unseen.many:
        notes.append(f"not all of them were compared with all reads for {format_count(unseen.many)} keys")
    return notes


Read = tuple[str, Any, Any]


def _stale(operations: Operations, position: int, read: Read, random: random.Random) -> tuple[Any] | None:
    return (read[2][: random.randrange(len(read[2]))],) if read[2] else None


def _lost(operations: Operations, position: int, read: Read, random: random.Random) -> tuple[Any] | None:
    if not read[2] or len(read[2]) < 2:
        return None
    gone = random.randrange(len(read[2]) - 1)
    return (read[2][:gone] + read[2][gone + 1 :],)


def _repeated(operations: Operations, position: int, read: Read, random: random.Random) -> tuple[Any] | None:
    return ((*read[2], random.choice(read[2])),) if read[2] else None


MODEL = ListAppend(
    alterations=(
        altering("stale-read", _stale),
        altering("lost-element", _lost),
        altering("duplicate-elements", _repeated),
    )
)
