"""Model `bank`: money is moved between accounts, and every look at all of them adds up to the same.

    transfer {from: A, to: B, amount: n}   moves n; what the transfer answers is not looked at
    read                                   answers the balances of all accounts, {A: 10, B: 7}; whole numbers (cents)

What holds for a correct bank in every snapshot, whatever else was going on: the total is `Options.total`, or that of
the snapshot that was answered first; no balance is below zero unless accounts may be overdrawn; no balance is nil; no
account has money that the first snapshot does not have and no transfer names. An account that is left out is empty.

Those are Jepsen's conditions (jepsen.tests.bank). They are necessary: which transfers a snapshot has seen is not asked.
Beyond them, snapshots marked `final` are laid beside one from before the first transfer: balances that the transfers
do not explain are lost or repeated transfers. Which ones they were a total cannot show, so that is inconclusive, and
the advice is to record idempotency keys and to ask the model `effects`.
"""

from __future__ import annotations

import random as randomness
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.forms import answering, only, unlike, whole
from chaoskit.checks.result import Alteration, Anomaly, Options, Result, judged
from chaoskit.checks.words import called
from chaoskit.history.operation import NONE
from chaoskit.history.operations import NEVER, Operations
from chaoskit.history.values import Map, shown

__all__ = ["MODEL", "Bank"]

EXPECTED = "every snapshot adds up to the same total"
_NECESSARY = (
    "totals, signs and names of accounts were checked, which is necessary; which transfers a snapshot has seen was not"
)


@dataclass(frozen=True)
class _Snapshot:
    """What one distinct answer says. `funded`: accounts that are not empty. `nil`, `below`: the first account without a
    balance, or with one below zero.
    """

    total: int
    accounts: frozenset[Any]
    funded: frozenset[Any]
    nil: Any = None
    below: Any = None


def _torn(operations: Operations, position: int, random: randomness.Random) -> Operations | None:
    """One account as an earlier snapshot had it, the others as they are."""
    earlier = np.flatnonzero(operations.ok[:position] & operations.named("read")[:position])
    now = operations.of_value(operations.result[position])
    if not len(earlier) or operations.function(position) != "read" or not isinstance(now, Mapping):
        return None
    before = operations.of_value(operations.result[random.choice(earlier.tolist())])
    if not isinstance(before, Mapping):
        return None
    changed = [account for account in now if account in before and before[account] != now[account]]
    if not changed:
        return None
    account = random.choice(changed)
    return answering(operations, position, Map({**now, account: before[account]}))


def _missing(operations: Operations, position: int, random: randomness.Random) -> Operations | None:
    """The balance of one account is gone."""
    now = operations.of_value(operations.result[position])
    if operations.function(position) != "read" or not isinstance(now, Mapping) or not len(now):
        return None
    return answering(operations, position, Map({**now, random.choice(list(now)): None}))


class Bank:
    """Judges `transfer` and `read`. A read is accused of one thing only: a nil balance (`nil-balance`), a balance below
    zero (`negative-balance`), another total (`wrong-total`), money on an account out of thin air (`thin-air`).
    Exposed: snapshots that were compared. A `key` of operations is not looked at (idempotency keys are welcome).
    """

    name = "bank"
    summary = "transfer {from, to, amount}, read → {account: balance}: every snapshot adds up to the same total"
    functions = frozenset({"transfer", "read"})
    levels: tuple[str, ...] = ()
    alterations = (Alteration("torn-snapshot", _torn), Alteration("nil-balance", _missing))

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history; see the module for the rules.

        Raises:
            HistoryError: another function, or a transfer or an answer of another form.
        """
        only(operations, self.name, self.functions)
        moves = _moves(operations)
        reads = np.flatnonzero(operations.ok & operations.named("read"))
        reads = reads[np.argsort(operations.completed[reads], kind="stable")]
        _, first, which = np.unique(operations.result[reads], return_index=True, return_inverse=True)
        snapshots = [_snapshot(operations, int(reads[at])) for at in first]
        sound = np.array([one.nil is None for one in snapshots], dtype=np.bool_)
        measure = next(iter(np.flatnonzero(sound[which]).tolist()), None) if len(reads) else None
        total, known = options.total, frozenset[Any]()
        if measure is not None:
            reference = snapshots[which[measure]]
            total = reference.total if total is None else total
            known = reference.accounts | {account for move in moves for account in (move.debited, move.credited)}
        kinds = [_kind(one, known, options.allow_negative, total) for one in snapshots]
        kind_of = np.array(kinds, dtype=object)[which]
        anomalies = []
        for kind in ("nil-balance", "negative-balance", "wrong-total", "thin-air"):
            accused = reads[kind_of == kind]
            if len(accused):
                read = int(accused[0])
                one = snapshots[which[np.flatnonzero(kind_of == kind)[0]]]
                given = options.total is not None and kind == "wrong-total"
                against = None if given or kind not in ("thin-air", "wrong-total") else int(reads[measure or 0])
                sentence = _sentence(operations, kind, read, one, against, known, total)
                witness = (read,) if against is None else (against, read)
                anomalies.append(Anomaly(kind, "", len(accused), witness, sentence, np.sort(accused)))
        exposed = len(reads) - (1 if options.total is None and measure is not None else 0)
        unexplained = _unexplained(operations, moves, reads) if not anomalies else None
        return judged(
            self.name,
            "",
            EXPECTED,
            len(operations),
            exposed,
            tuple(anomalies),
            reasons=(unexplained,) if unexplained else (),
            notes=(_NECESSARY,),
            exact=False,
            numbers={"snapshots": float(len(reads)), **({} if total is None else {"total": float(total)})},
        )


@dataclass(frozen=True)
class _Move:
    position: int
    debited: Any
    credited: Any
    amount: int


def _moves(operations: Operations) -> list[_Move]:
    found = []
    for position in np.flatnonzero(operations.named("transfer")).tolist():
        asked = operations.of_value(operations.value[position])
        if not isinstance(asked, Mapping) or not {"from", "to", "amount"} <= set(asked):
            raise unlike(operations, position, "is no transfer {from: account, to: account, amount: n}")
        amount = whole(asked["amount"])
        if amount is None:
            raise unlike(operations, position, "moves an amount that is no whole number", hint="use cents")
        found.append(_Move(position, asked["from"], asked["to"], amount))
    return found


def _snapshot(operations: Operations, position: int) -> _Snapshot:
    answer = operations.of_value(operations.result[position])
    if answer is None:
        return _Snapshot(0, frozenset(), frozenset(), nil="all accounts")
    if not isinstance(answer, Mapping):
        raise unlike(operations, position, "answers no balances {account: balance}")
    total, nil, below, funded = 0, None, None, []
    for account, balance in answer.items():
        number = whole(balance)
        if balance is None:
            nil = account if nil is None else nil
        elif number is None:
            raise unlike(operations, position, "answers a balance that is no whole number", hint="use cents")
        else:
            total += number
            funded += [account] if number else []
            below = account if number < 0 and below is None else below
    return _Snapshot(total, frozenset(answer), frozenset(funded), nil, below)


def _kind(one: _Snapshot, known: frozenset[Any], allow_negative: bool, total: int | None) -> str:
    if one.nil is not None:
        return "nil-balance"
    if one.below is not None and not allow_negative:
        return "negative-balance"
    if one.total != total:
        return "wrong-total"
    return "" if one.funded <= known else "thin-air"


def _sentence(
    operations: Operations,
    kind: str,
    read: int,
    one: _Snapshot,
    against: int | None,
    known: frozenset[Any],
    total: int | None,
) -> str:
    what = called(operations, read)
    if kind == "nil-balance":
        return f"{what} answered nothing for {shown(one.nil)}"
    if kind == "negative-balance":
        return f"{what} found less than nothing on account {shown(one.below)}"
    if kind == "thin-air":
        account = next(iter(sorted(map(shown, one.funded - known))))
        first = called(operations, against or 0)
        return f"{what} has an account {account}, which {first} does not have and no transfer names"
    expected = f"{total} as it always should" if against is None else f"{total} as in {called(operations, against)}"
    return f"the balances of {what} add up to {one.total} instead of {expected}"


def _unexplained(operations: Operations, moves: list[_Move], reads: NDArray[np.int64]) -> str | None:
    """Balances at the end that no choice among the transfers of unknown outcome explains."""
    done = [move for move in moves if not operations.failed[move.position]]
    begun = min((int(operations.invoked[move.position]) for move in done), default=NEVER)
    before = reads[operations.completed[reads] < begun]
    ended = max(
        (int(operations.completed[move.position]) for move in done if operations.ok[move.position]), default=NONE
    )
    after = reads[operations.final[reads] & (operations.invoked[reads] > ended)]
    if not len(before) or not len(after):
        return None
    start: Mapping[Any, Any] = operations.of_value(operations.result[before[0]])
    for read in after.tolist():
        end: Mapping[Any, Any] = operations.of_value(operations.result[read])
        for account in {**start, **end}:
            least = most = whole(start.get(account, 0)) or 0
            for move in done:
                change = move.amount * ((move.credited == account) - (move.debited == account))
                sure = bool(operations.ok[move.position])
                least += change if sure else min(0, change)
                most += change if sure else max(0, change)
            found = whole(end.get(account, 0)) or 0
            if not least <= found <= most:
                expected = f"{least}" if least == most else f"between {least} and {most}"
                return (
                    f"account {shown(account)} has {found} in {called(operations, read)}, but what was transferred "
                    f"makes it {expected}: transfers were lost or repeated; record idempotency keys and check `effects`"
                )
    return None


MODEL = Bank()
