"""Histories of transactions over registers, and the truth about them: every order of commits is tried.

What the model refutes must be illegal; what it lets pass may be either, because with blind writes the question is hard.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from chaoskit.checks.models.rw_register import MODEL
from chaoskit.checks.result import Options, Result
from chaoskit.history.operations import Operations
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import FAILED, Call, simulate

LEVELS = (
    "read-committed",
    "read-atomic",
    "repeatable-read",
    "snapshot-isolation",
    "serializable",
    "strong-session-serializable",
    "strict-serializable",
)
KEYS = ("x", "y", "z")
State = dict[str, int | None]


class AnyLevel:
    """The model, asked about the level that belongs to the history."""

    name, summary, functions, levels, alterations = "rw-register", "", MODEL.functions, LEVELS, ()

    def check(self, operations: Operations, options: Options) -> Result:
        level = LEVELS[int(operations.invoked.sum()) // 2 % len(LEVELS)]
        return MODEL.check(operations, Options(consistency=level))


class System:
    """Applies transactions to registers; what a read sees and what a write does depends on the kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.past: list[State] = [dict.fromkeys(KEYS)]

    def __call__(self, call: Call, random: random.Random) -> Any:
        now = self.past[-1]
        bug = self.kind if random.random() < 0.6 else "serial"
        snapshot = now
        if bug in ("snapshot", "skew", "committed"):
            snapshot = self.past[-min(random.randrange(1, 4), len(self.past))]
        after, own, result = dict(now), dict[str, int](), []
        for f, key, value in call.value:
            if f == "w":
                own[key] = value
                result.append((f, key, value))
                if bug == "middle":  # every single write is there to be seen
                    self.past.append({**self.past[-1], key: value})
                continue
            if bug == "committed":
                snapshot = random.choice(self.past[-3:])
            seen = own.get(key, snapshot[key])
            if bug == "own-unseen":
                seen = snapshot[key]
            if bug == "own-early":
                seen = next((v for g, k, v in call.value if (g, k) == ("w", key)), seen)
            if bug == "thin-air" and random.random() < 0.3:
                seen = 1000
            result.append((f, key, seen))
        if bug == "snapshot" and any(now[key] != snapshot[key] for key in own):
            return FAILED
        for key, value in own.items():
            if bug != "lost" or random.random() < 0.5:
                after[key] = value
        if bug == "back" and len(self.past) > 1:
            after[random.choice(KEYS)] = self.past[-2][random.choice(KEYS)]
        self.past.append(after)
        return FAILED if bug == "aborted" else tuple(result)


KINDS = ("serial", "snapshot", "committed", "skew", "middle")
WRONG = ("aborted", "own-unseen", "own-early", "thin-air", "lost", "middle", "skew")


def history(random: random.Random, kinds: Sequence[str] = (*KINDS, *WRONG, *WRONG)) -> list[Call]:
    """Four to six transactions of three processes; many of them read before they write."""
    system = System(random.choice(kinds))
    keys = KEYS[: random.choice((2, 2, 3))]

    def ask(number: int, random: random.Random) -> Call:
        micro: list[tuple[str, str, Any]] = []
        for place in range(random.choice((1, 2, 2))):
            key = random.choice(keys)
            kind = random.random()
            if kind < 0.6:
                micro.append(("r", key, None))
            if kind > 0.35:
                micro.append(("w", key, 10 * number + place))
        return Call(0, "txn", value=tuple(micro))

    def only_reads(call: Call) -> bool:
        return all(one[0] == "r" for one in call.value)

    count = random.choice((5, 6, 6))
    return simulate(ask, system, count=count, processes=3, random=random, info=0.25, fails=0.02, is_read=only_reads)


def legal(calls: list[Call]) -> bool:
    """Whether the level of this history allows it."""
    return allowed(calls, LEVELS[sum(call.invoked for call in calls) % len(LEVELS)])


def allowed(calls: list[Call], level: str) -> bool:
    """Whether some order of commits explains all reads as a level understands it, and nothing was read too early."""
    calls = [call for call in calls if call.outcome != "fail"]
    if _too_early(calls):
        return False
    placed: dict[str, Placed] = {
        "read-committed": _committed,
        "read-atomic": _atomic,
        "snapshot-isolation": _snapshot,
    }
    place = placed.get(level, _serial)
    if level == "strict-serializable":
        return _search(calls, [dict.fromkeys(KEYS)], place, _over)
    if level == "strong-session-serializable":
        return _search(
            calls, [dict.fromkeys(KEYS)], place, lambda one, other: one.process == other.process and _over(one, other)
        )
    return _search(calls, [dict.fromkeys(KEYS)], place, lambda one, other: False)


def _over(one: Call, other: Call) -> bool:
    return one.outcome == "ok" and one.completed < other.invoked


def _too_early(calls: list[Call]) -> bool:
    begun = {(key, value): call.invoked for call in calls for f, key, value in call.value if f == "w"}
    for call in calls:
        ahead = {(key, value) for f, key, value in call.value if f == "w"}
        for f, key, value in call.result or ():
            if f == "w":
                ahead.discard((key, value))
            elif (key, value) in ahead or begun.get((key, value), 0) > call.completed:
                return True
    return False


Placed = Callable[[Call, list[State]], bool]


def _written(call: Call) -> State:
    return {key: value for f, key, value in call.value if f == "w"}


def _search(left: list[Call], past: list[State], placed: Placed, before: Callable[[Call, Call], bool]) -> bool:
    if all(call.outcome == "info" for call in left):
        return True
    for call in left:
        if any(before(other, call) for other in left if other is not call) or not placed(call, past):
            continue
        after = {**past[-1], **_written(call)}
        if _search([other for other in left if other is not call], [*past, after], placed, before):
            return True
    return False


def _run(call: Call, state: State) -> bool:
    state = dict(state)
    for f, key, value in call.result or ():
        if f == "w":
            state[key] = value
        elif state[key] != value:
            return False
    return True


def _serial(call: Call, past: list[State]) -> bool:
    return _run(call, past[-1])


def _snapshot(call: Call, past: list[State]) -> bool:
    """From a snapshot on, nobody else wrote what this one writes. (Values are unique: no write goes unnoticed.)"""
    return any(
        _run(call, state) and all(other[key] == state[key] for key in _written(call) for other in past[at:])
        for at, state in enumerate(past)
    )


def _given(call: Call) -> list[tuple[str, int | None]]:
    """What each read was given by others."""
    own = {(key, value) for f, key, value in call.value if f == "w"}
    wrote: set[str] = set()
    given = []
    for f, key, value in call.result or ():
        if f == "w":
            wrote.add(key)
        elif (key, value) not in own and not (key in wrote and value is None):
            given.append((key, value))
    return given


def _committed(call: Call, past: list[State]) -> bool:
    """Each read is of a committed version of a transaction before, and of the last one of its writer."""
    return all(any(state[key] == value for state in past) for key, value in _given(call))


def _atomic(call: Call, past: list[State]) -> bool:
    if not _committed(call, past) or (call.outcome == "ok" and not _run(call, {**past[0], **dict(_given(call)[::-1])})):
        return False
    given = _given(call)
    for key, value in given:
        at = next(place for place, state in enumerate(past) if state[key] == value)
        if value is None:
            continue
        for other, read in given:
            wrote = past[at][other] != past[at - 1][other]
            if wrote and next(place for place, state in enumerate(past) if state[other] == read) < at:
                return False
    return True


RW_REGISTER = Subject("rw-register", AnyLevel, history, legal, one_sided=True)
SUBJECTS = [RW_REGISTER]
_FILE = "chaoskit/checks/transactions/registers.py"


def _mutant(rule: str, old: str, new: str) -> Mutant:
    return Mutant("histories.rw_register:RW_REGISTER", rule, _FILE, old, new)


# One-sided: a rule that is gone goes unnoticed, a rule that is turned accuses the innocent. (What each rule finds is in
# the unit tests.)
MUTANTS = [
    _mutant("own values are thin air", "~there & ~nil", "(~there | own) & ~nil"),
    _mutant(
        "unknown outcomes failed", "failed = there & operations.failed[wrote]", "failed = there & ~operations.ok[wrote]"
    ),
    _mutant("own writes are from the middle", "middle = there & ~own & ~failed", "middle = there & ~failed"),
    _mutant(
        "what is answered early is read early",
        "(begun > operations.completed[micro.read_txn])",
        "(begun > operations.invoked[micro.read_txn])",
    ),
    _mutant(
        "own writes change nothing", "np.where(registers.own != NONE, before,", "np.where(registers.own != NONE, NIL,"
    ),
    _mutant(
        "what was read last was missed",
        "RW, np.repeat(micro.read_txn, count), micro.write_txn[write], write",
        "RW, micro.write_txn[write], np.repeat(micro.read_txn, count), write",
    ),
    _mutant("every write is a first one", "self.committed[micro.write_txn] & self.begins)", "self.last)"),
    _mutant(
        "whoever read wrote last",
        "self.writer[external]),\n            self._missed()",
        "self.writer[external]),\n            (WR, micro.read_txn[external], wrote[external], self.writer[external])",
    ),
    _mutant(
        "real time orders versions at every level",
        "return LATE, micro.read_txn[external[inside]]",
        "return RW, micro.read_txn[external[inside]]",
    ),
    _mutant(
        "every read of a version is an update",
        "lost = np.flatnonzero(based[1:] == based[:-1])",
        "lost = np.flatnonzero(based[1:] >= 0)",
    ),
]
