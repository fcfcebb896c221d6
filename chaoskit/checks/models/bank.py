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

_KINDS = ("nil-balance", "negative-balance", "wrong-total", "thin-air")
EXPECTED = "every snapshot adds up to the same total"
_NECESSARY = (
    "totals, signs and names of accounts were checked, which is necessary; which transfers a snapshot has seen was not"
)


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
        numbers, first, which = np.unique(operations.result[reads], return_index=True, return_inverse=True)
        answers = [
            _balances(operations, int(reads[at]), int(number)) for number, at in zip(numbers, first, strict=True)
        ]
        whole_ones = [at for at, answer in enumerate(answers) if answer is not None]
        total, known, measure = options.total, frozenset[Any](), None
        if whole_ones:
            measure = int(np.flatnonzero(np.isin(which, whole_ones))[0])
            reference = answers[which[measure]] or {}
            total = sum(map(_number, reference.values())) if total is None else total
            known = frozenset(reference) | {account for move in moves for account in (move.debited, move.credited)}
            known |= set(map(shown, known))  # keys of maps in JSON are texts, whatever the transfers call the accounts
        kinds = [_kind(answer, known, options.allow_negative, total) for answer in answers]
        kind_of = np.array(kinds, dtype=np.int8)[which]
        anomalies = []
        for number, kind in enumerate(_KINDS, start=1):
            accused = reads[kind_of == number]
            if len(accused):
                read = int(accused[0])
                alone = kind in ("nil-balance", "negative-balance") or (
                    kind == "wrong-total" and options.total is not None
                )
                against = None if alone or measure is None else int(reads[measure])
                sentence = _sentence(operations, kind, read, against, known, total)
                witness = (read,) if against is None else tuple(sorted((against, read)))
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


def _balances(operations: Operations, position: int, number: int) -> Mapping[Any, Any] | None:
    """What one distinct answer says, whole numbers all of them; None where a balance, or all of it, is nil."""
    answer = operations.of_value(number)
    if answer is None:
        return None
    if not isinstance(answer, Mapping):
        raise unlike(operations, position, "answers no balances {account: balance}")
    for balance in answer.values():
        if balance is not None and type(balance) is not int and whole(balance) is None:
            raise unlike(operations, position, "answers a balance that is no whole number", hint="use cents")
    return None if None in answer.values() else answer


def _number(balance: Any) -> int:
    return balance if type(balance) is int else whole(balance) or 0


def _kind(answer: Mapping[Any, Any] | None, known: frozenset[Any], allow_negative: bool, total: int | None) -> int:
    """0, or the place in _KINDS of what is wrong, from 1."""
    if answer is None:
        return 1
    balances = [_number(balance) for balance in answer.values()]
    if not allow_negative and min(balances, default=0) < 0:
        return 2
    if sum(balances) != total:
        return 3
    return 0 if answer.keys() <= known or not _strangers(answer, known) else 4


def _strangers(answer: Mapping[Any, Any], known: frozenset[Any]) -> list[str]:
    """Accounts that nobody knows and that are not empty."""
    strange = [account for account, balance in answer.items() if account not in known and _number(balance)]
    return sorted({shown(account) for account in strange} - known)


def _sentence(
    operations: Operations, kind: str, read: int, against: int | None, known: frozenset[Any], total: int | None
) -> str:
    what, answer = called(operations, read), operations.of_value(operations.result[read]) or {}
    if kind == "nil-balance":
        missing = [shown(account) for account, balance in answer.items() if balance is None]
        return f"{what} answered nothing for {missing[0] if missing else 'any account'}"
    if kind == "negative-balance":
        below = next(shown(account) for account, balance in answer.items() if _number(balance) < 0)
        return f"{what} found less than nothing on account {below}"
    first = "" if against is None else called(operations, against)
    if kind == "thin-air":
        stranger = _strangers(answer, known)[0]
        return f"{what} found money on account {stranger}, which {first} does not have and no transfer names"
    expected = f"{total} as it always should" if against is None else f"{total} as in {first}"
    return f"the balances of {what} add up to {sum(map(_number, answer.values()))} instead of {expected}"


def _unexplained(operations: Operations, moves: list[_Move], reads: NDArray[np.int64]) -> str | None:
    """Balances at the end that no choice among the transfers of unknown outcome explains."""
    failed, ok = operations.failed, operations.ok
    done = [move for move in moves if not failed[move.position]]
    begun = min((int(operations.invoked[move.position]) for move in done), default=NEVER)
    before = reads[operations.completed[reads] < begun]
    ended = max((int(operations.completed[move.position]) for move in done if ok[move.position]), default=NONE)
    after = reads[operations.final[reads] & (operations.invoked[reads] > ended)]
    if not len(before) or not len(after):
        return None
    start = _by_name(operations, int(before[0]))
    for read in after.tolist():
        end = _by_name(operations, read)
        for account in {**start, **end}:
            least = most = start.get(account, 0)
            for move in done:
                change = move.amount * ((shown(move.credited) == account) - (shown(move.debited) == account))
                sure = bool(ok[move.position])
                least += change if sure else min(0, change)
                most += change if sure else max(0, change)
            found = end.get(account, 0)
            if not least <= found <= most:
                expected = f"{least}" if least == most else f"between {least} and {most}"
                return (
                    f"account {account} has {found} in {called(operations, read)}, but what was transferred "
                    f"makes it {expected}: transfers were lost or repeated; record idempotency keys and check `effects`"
                )
    return None


def _by_name(operations: Operations, position: int) -> dict[str, int]:
    answer: Mapping[Any, Any] = operations.of_value(operations.result[position])
    return {shown(account): _number(balance) for account, balance in answer.items()}


MODEL = Bank()
