"""Model `rw-register`: transactions that read and write registers; which isolation is not refuted?

Operations are vectors of `[w k v]` and `[r k nil]`, answered with `[r k v]`; what they are called does not matter.
Values are unique per key, registers begin as nil. A write leaves no trace of what it replaced, so the order of versions
is known only where a transaction read one version and wrote the next, from nil, and, for strict serializability, from
real time. What is refuted is refuted; what is held passed conditions that are necessary, no more: with blind writes the
question is NP-hard (Papadimitriou, 1979). Appending to lists, or reading before every write, says far more.

Source: Kingsbury and Alvaro, Elle: Inferring Isolation Anomalies from Experimental Observations (VLDB 2020), §5.2.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from chaoskit.checks.result import Alteration, Options, Result
from chaoskit.checks.transactions.anomalies import LEVELS, Found, altering, decided
from chaoskit.checks.transactions.cycles import Cycle, cycles
from chaoskit.checks.transactions.graph import LATE, WR
from chaoskit.checks.transactions.micro import flatten
from chaoskit.checks.transactions.registers import Registers, of_cycles, of_reads
from chaoskit.checks.transactions.words import around, named
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import Operations
from chaoskit.units import format_count

__all__ = ["MODEL", "ReadWriteRegister"]

_BACK = 200  # operations in which an older value is looked for
_NECESSARY = (
    "only necessary conditions are checked: the order of versions is known from nil, from transactions that read "
    "before they wrote and, for strict serializability, from real time; list-append histories show all of it"
)


@dataclass(frozen=True)
class ReadWriteRegister:
    """Judges histories of registers that transactions read and write.

    Of what it is given, committed transactions that read a key which another transaction wrote are exposed.
    """

    name: str = "rw-register"
    summary: str = (
        "transactions of [w key value] and [r key nil → value]: which isolation is not refuted (necessary only)"
    )
    functions: frozenset[str] = frozenset({"txn"})
    levels: tuple[str, ...] = LEVELS
    alterations: tuple[Alteration, ...] = ()

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history.

        Raises:
            HistoryError: an operation is no such transaction, or a value is written to a key twice.
        """
        micro = flatten(operations, "w", lists=False)
        registers = Registers.of(operations, micro)
        edges, skipped = registers.edges()
        found = list(of_reads(registers))
        rings, knotted = cycles(operations, edges, registers.committed)
        if knotted.any():
            found += of_cycles(registers, edges, knotted)
        for ring in rings:
            found.append(_told(registers, ring, ring.kind))
            if ring.long_fork:
                found.append(_told(registers, ring, "long-fork"))
            if _versions_in_circles(registers, ring):
                found.append(_told(registers, ring, "cyclic-versions"))
        return decided(
            self.name,
            operations,
            micro,
            edges,
            registers.committed,
            found,
            options,
            exact=False,
            notes=(_NECESSARY, *_skipped(skipped)),
            numbers={
                "writes whose predecessor is known": int(np.count_nonzero(registers.based != NONE)),
                "writes": int(np.count_nonzero(registers.last & registers.committed[micro.write_txn])),
            },
        )


def _versions_in_circles(registers: Registers, ring: Cycle) -> bool:
    """Whether the cycle is one of versions of one key: each read from the one before it, and wrote the next."""
    micro = registers.micro
    keys = np.unique(micro.write_key[ring.edges.write]) if ring.kind == "G1c" else np.empty(0)
    if len(keys) != 1:
        return False
    made = (registers.based != NONE) & (micro.write_key == keys[0])
    return bool(np.isin(ring.edges.target, micro.write_txn[made]).all())


def _told(registers: Registers, ring: Cycle, kind: str) -> Found:
    """A cycle, with who proves that transactions of unknown outcome happened, and in words."""
    operations, micro, edges = registers.operations, registers.micro, ring.edges
    witness = set(edges.source.tolist())
    replaced: dict[int, int] = {}
    for at in np.flatnonzero(np.equal(edges.label, LATE)).tolist():
        write, reader = int(edges.write[at]), int(edges.source[at])
        mine = np.flatnonzero((micro.read_txn == reader) & (micro.read_key == micro.write_key[write]))
        before = [int(one) for one in registers.writer[mine] if one != NONE and micro.write_txn[one] != reader]
        over = [
            one for one in before if operations.completed[micro.write_txn[one]] < operations.invoked[edges.target[at]]
        ]
        replaced[at] = over[0]
        witness.add(int(micro.write_txn[over[0]]))
    for txn in [one for one in witness if operations.info[one]]:
        writes = np.flatnonzero((micro.write_txn == txn) & registers.seen)
        readers = micro.read_txn[np.isin(registers.writer, writes)]
        if not witness & set(readers.tolist()):
            witness.add(int(readers[0]))

    def why(at: int) -> str:
        write, target = int(edges.write[at]), int(operations.index[edges.target[at]])
        key, value = micro.key(int(micro.write_key[write])), micro.value(int(micro.write_value[write]))
        if edges.label[at] == WR:
            return f"operation {target} read the {value} that it wrote to {key}"
        if edges.label[at] == LATE:
            before = replaced[at]
            return (
                f"it read {key} → {micro.value(int(micro.write_value[before]))} of "
                f"{named(operations, int(micro.write_txn[before]))}, which was over before operation {target} began to "
                f"write {value}"
            )
        return f"it read {key} as it was before operation {target} wrote {value}"

    return Found(kind, ring.count, tuple(sorted(witness)), around(operations, edges, why), ring.accused)


def _skipped(keys: int) -> list[str]:
    told = f"reads of nothing were compared with the first 16 writes only for {format_count(keys)} keys"
    return [told] if keys else []


Read = tuple[str, Any, Any]


def _lost(operations: Operations, position: int, read: Read, random: random.Random) -> tuple[Any] | None:
    return None if read[2] is None else (None,)


def _stale(operations: Operations, position: int, read: Read, random: random.Random) -> tuple[Any] | None:
    """A value that was written to the key not long before."""
    older = [
        micro[2]
        for earlier in range(max(0, position - _BACK), position)
        if operations.outcome[earlier] == Outcome.OK
        for micro in operations.of_value(int(operations.value[earlier])) or ()
        if micro[:2] == ("w", read[1]) and micro[2] != read[2]
    ]
    return (random.choice(older),) if older else None


MODEL = ReadWriteRegister(alterations=(altering("stale-read", _stale), altering("lost-write", _lost)))
