"""Anomalies of transactions by their names in the field, which levels each refutes, and the verdict over all of them.

Sources: Adya, Weak Consistency (1999): PL-1 (read-uncommitted) forbids G0, PL-2 (read-committed) G1, PL-2.99
(repeatable-read) any cycle of items, PL-3 (serializable) any cycle; Bailis et al., Scalable Atomic Visibility with RAMP
Transactions (2014): read-atomic forbids fractured reads; Cerone and Gotsman, Analysing Snapshot Isolation (2016): it
forbids cycles without two adjacent anti-dependencies, and sessions are not part of it here (generalized snapshot
isolation), so that serializable implies it; Elle's tables for what Adya has no name for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.levels import TRANSACTIONS, implied, strongest_left, weakest
from chaoskit.checks.result import Alteration, Anomaly, Options, Result, judged
from chaoskit.checks.transactions.graph import Edges
from chaoskit.checks.transactions.micro import Micro
from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import Operations
from chaoskit.units import format_count

__all__ = ["LEVELS", "Change", "Found", "altering", "decided", "refuted_levels"]

_NO_SNAPSHOT = ("repeatable-read", "snapshot-isolation")
_REFUTES: dict[str, tuple[str, ...]] = {
    "thin-air": ("read-uncommitted",),
    "future-read": ("read-uncommitted",),
    "duplicate-elements": ("read-uncommitted",),
    "G0": ("read-uncommitted",),
    "G1a": ("read-committed",),
    "G1b": ("read-committed",),
    "G1c": ("read-committed",),
    "cyclic-versions": ("read-committed",),
    "dirty-update": ("read-committed",),
    "incompatible-order": ("read-committed",),
    "internal": ("read-atomic",),
    "fractured-read": ("read-atomic",),
    "lost-update": _NO_SNAPSHOT,
    "G-single": _NO_SNAPSHOT,
    "long-fork": _NO_SNAPSHOT,
    "G-nonadjacent": _NO_SNAPSHOT,
    "write-skew": ("repeatable-read",),
    "G2-item": ("repeatable-read",),
}
LEVELS = TRANSACTIONS[::-1]


@dataclass(frozen=True, eq=False)
class Found:
    """One kind of anomaly, before it is known which level is asked for."""

    kind: str
    count: int
    witness: tuple[int, ...]
    sentence: str
    accused: NDArray[np.int64]


def refuted_levels(kind: str) -> tuple[str, ...]:
    """The weakest levels that an anomaly refutes: those of which none implies another."""
    if kind.endswith("-process"):
        return ("strong-session-serializable",)
    if kind.endswith("-realtime"):
        return ("strict-serializable",)
    return _REFUTES[kind]


def decided(
    model: str,
    operations: Operations,
    micro: Micro,
    edges: Edges,
    committed: NDArray[np.bool_],
    found: Iterable[Found],
    options: Options,
    *,
    exact: bool,
    notes: Sequence[str],
    numbers: Mapping[str, float] | None = None,
) -> Result:
    """The result of a check that came to its end.

    An anomaly that refutes two levels of which neither implies the other is told with the one that was asked about.

    Args:
        edges: who is known to come before whom. committed: mask of transactions that are known to have happened.
        exact, notes, numbers: as in `Result`, beside what is true of all models of transactions.
    """
    level = options.consistency or LEVELS[0]
    merged: dict[str, Found] = {}
    for one in found:  # of a kind that two rules found the first one's witness is kept
        before = merged.setdefault(one.kind, one)
        if before is not one:
            accused = np.union1d(before.accused, one.accused)
            merged[one.kind] = replace(before, count=before.count + one.count, accused=accused)
    asked = implied(level)
    anomalies, refuted = [], set[str]()
    for one in sorted(merged.values(), key=lambda one: _gravity(one.kind)):
        refutes = refuted_levels(one.kind)
        refuted |= set(refutes)
        told = next((name for name in refutes if name in asked), refutes[0])
        large = len(one.witness) > 10  # the shortest cycle may be
        anomalies.append(Anomaly(one.kind, told, one.count, one.witness, one.sentence, one.accused, large=large))
    expected = f"the transactions are isolated from each other as {level} promises"
    if "serializable" in level:
        expected = f"the transactions are {level}: one order of them explains all that they read"
    return judged(
        model,
        level,
        expected,
        len(operations),
        micro.exposed(len(operations)),
        tuple(anomalies),
        asked,
        refuted=weakest(refuted, TRANSACTIONS),
        not_refuted=strongest_left(refuted, TRANSACTIONS),
        exact=exact,
        notes=(*notes, *_untraced(operations, committed)),
        numbers={
            "transactions": len(operations),
            "micro-operations": len(micro.write_txn) + len(micro.read_txn),
            "keys": len(np.unique(np.concatenate([micro.write_key, micro.read_key]))),
            "dependencies": len(edges),
            **(numbers or {}),
        },
    )


def _untraced(operations: Operations, committed: NDArray[np.bool_]) -> tuple[str, ...]:
    count = int(np.count_nonzero(operations.info & ~committed))
    told = f"{format_count(count)} transactions of unknown outcome left no trace and are taken not to have happened"
    return (told,) if count else ()


def _gravity(kind: str) -> tuple[int, int]:
    """Weakest level first; among those of one level as in the table."""
    order: Sequence[str] = list(_REFUTES)
    base = kind.removesuffix("-process").removesuffix("-realtime")
    return min(TRANSACTIONS.index(level) for level in refuted_levels(kind)), order.index(base)


Change = Callable[[Operations, int, tuple[str, Any, Any], random.Random], tuple[Any] | None]


def altering(kind: str, change: Change) -> Alteration:
    """A bug that changes one answer of one transaction's reads.

    Args:
        change: given the history, the position of the transaction and the read `(r, key, value)`: what is read instead,
            as a tuple of one; None where the bug cannot strike there.
    """

    def apply(operations: Operations, position: int, random: random.Random) -> Operations | None:
        if operations.outcome[position] != Outcome.OK or operations.result[position] == NONE:
            return None
        result = list(operations.of_value(int(operations.result[position])))
        changes = [(at, change(operations, position, one, random)) for at, one in enumerate(result) if one[0] == "r"]
        possible = [(at, changed[0]) for at, changed in changes if changed is not None]
        if not possible:
            return None
        at, changed = random.choice(possible)
        result[at] = (*result[at][:2], changed)
        results = operations.result.copy()
        results[position] = len(operations.values)
        return operations.altered(result=results, values=[*operations.values, tuple(result)])

    return Alteration(kind, apply)
