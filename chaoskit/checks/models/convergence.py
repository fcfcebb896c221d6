"""Model `convergence`: in the end all replicas answer the same, and hold all that was acknowledged.

What counts are *final* reads (after everything has ended), the last one of every node about every key:

    divergence     two nodes answer differently about one key
    lost           an acknowledged write that can be recognised (`chaoskit.checks.loss`) is not in a node's answer
    resurrection   a write that had been reported as failed is there
    thin-air       a value or an element that nobody wrote

Exact for what was read: a node that was not asked about a key that others were asked about leaves it inconclusive. A
key written more than once may hold any of the values, as long as all nodes agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chaoskit.checks.altering import SETS
from chaoskit.checks.bugs import REGISTERS
from chaoskit.checks.forms import only
from chaoskit.checks.loss import ADDS, Finals
from chaoskit.checks.result import Alteration, Anomaly, Options, Result, judged
from chaoskit.checks.words import called, shortened
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations
from chaoskit.history.values import identity, shown
from chaoskit.units import format_count

__all__ = ["MODEL", "Convergence"]

_EXPECTED = "in the end all nodes answer the same about every key, and hold all that was acknowledged"


@dataclass(frozen=True)
class Convergence:
    """Final reads of all nodes; `exposed` are the answers about keys to which something had been written."""

    name: str = "convergence"
    summary: str = "final reads from every node: all answer the same, and hold all that was acknowledged"
    functions: frozenset[str] = frozenset({"read", "write", "append", "add"})
    levels: tuple[str, ...] = ()
    alterations: tuple[Alteration, ...] = (SETS[0], REGISTERS[1])

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history; see the module for the rules.

        Raises:
            HistoryError: operations of other functions. The history's fault.
        """
        only(operations, self.name, self.functions)
        finals = Finals(operations)
        found = [_thin_air(finals, options), _resurrected(finals), _lost(finals), _divergence(finals)]
        unjudged = len(finals.writes) - len(finals.judged)
        notes = []
        if unjudged:
            notes.append(
                f"writes whose loss is not judged (their key was written more than once): {format_count(unjudged)}"
            )
        written = np.isin(finals.key[finals.reads], finals.key[finals.writes])
        return judged(
            self.name,
            "",
            _EXPECTED,
            len(operations),
            int(np.count_nonzero(written)),
            tuple(one for one in found if one is not None),
            reasons=_open(finals),
            notes=tuple(notes),
            numbers={"final answers": float(len(finals.reads)), **finals.numbers()},
        )


MODEL = Convergence()


def _open(finals: Finals) -> tuple[str, ...]:
    """Why nothing can be said of some keys."""
    reasons = []
    if not len(finals.reads):
        return ("there are no final reads in it: after everything has ended, read every key from every node",)
    if finals.nodes == [NONE]:
        reasons.append("it does not tell which node answered, so whether nodes agree is not known")
    missing = sum(len(finals.nodes) - len(reads) for reads in finals.by_key.values())
    if missing:
        reasons.append(
            f"pairs of a key and a node that was not asked about it in the end: {format_count(missing)}; read every "
            "key from every node"
        )
    if len(finals.unread):
        reasons.append(
            f"acknowledged writes that no final read looked for: {format_count(len(finals.unread))}; read every key "
            "after everything has ended"
        )
    return tuple(reasons)


def _told(kind: str, accused: list[int], witness: tuple[int, ...], sentence: str) -> Anomaly:
    return Anomaly(kind, "", len(accused), tuple(sorted(witness)), sentence, np.asarray(accused, dtype=np.int64))


def _answer(finals: Finals, read: int) -> tuple[Any, ...] | Any:
    """What was answered, for comparing: nothing and an empty collection are the same where elements are added."""
    value = finals.operations.of_value(int(finals.operations.result[read]))
    return identity(value) if value not in ((), frozenset()) else None


def _divergence(finals: Finals) -> Anomaly | None:
    of = finals.operations
    accused, witness = [], None
    for reads in finals.by_key.values():
        other = next((one for one in reads[1:] if _answer(finals, one) != _answer(finals, reads[0])), None)
        if other is not None:
            accused += reads
            witness = witness or (reads[0], other)
    if witness is None:
        return None
    sentence = (
        f"the nodes do not agree in the end: {_at(finals, witness[0])} and {_at(finals, witness[1])} are both last "
        "answers about the same key"
    )
    keys = len({int(of.key[one]) for one in accused})
    one = _told("divergence", sorted(accused), witness, sentence)
    return Anomaly(one.kind, one.level, keys, one.witness, one.sentence, one.accused)


def _lost(finals: Finals) -> Anomaly | None:
    accused, witness = [], None
    for write in finals.acknowledged.tolist():
        read = next((one for one in finals.since(write) if not finals.holds(one, write)), None)
        if read is not None:
            accused.append(write)
            witness = witness or (write, read)
    if witness is None:
        return None
    write, read = witness
    sentence = f"{called(finals.operations, write)} was acknowledged, but in the end {_at(finals, read)} is without it"
    return _told("lost", accused, witness, sentence)


def _resurrected(finals: Finals) -> Anomaly | None:
    accused = finals.resurrected.tolist()
    if not accused:
        return None
    write = accused[0]
    read = next(one for one in finals.by_key[int(finals.key[write])] if finals.holds(one, write))
    sentence = f"{called(finals.operations, write)} had failed, but in the end {_at(finals, read)} shows it"
    return _told("resurrection", accused, (write, read), sentence)


def _thin_air(finals: Finals, options: Options) -> Anomaly | None:
    of = finals.operations
    asked: dict[int, set[Any]] = {}
    added: set[int] = {int(finals.key[at]) for at in np.flatnonzero(of.named(*ADDS)).tolist()}
    for write in finals.writes.tolist():
        asked.setdefault(int(finals.key[write]), set()).add(identity(of.of_value(int(of.value[write]))))
    accused, sentence = [], ""
    for read in finals.reads.tolist():
        key, value = int(finals.key[read]), of.of_value(int(of.result[read]))
        collection = isinstance(value, frozenset) or (isinstance(value, tuple) and key in added)
        shows = list(value) if collection else [] if value is None or value == options.initial else [value]
        strange = [one for one in shows if identity(one) not in asked.get(key, ())]
        if strange:
            accused.append(read)
            sentence = sentence or f"{_at(finals, read)} shows {shortened(shown(strange[0]))}, which nobody wrote"
    return _told("thin-air", accused, (accused[0],), sentence) if accused else None


def _at(finals: Finals, read: int) -> str:
    """An answer with who gave it."""
    of = finals.operations
    node = int(of.node[read])
    return called(of, read) + (f" at {of.nodes[node]}" if node != NONE else "")
