"""Histories of list-append transactions, and the truth about them: every order of commits is tried.

The right systems are serial, or snapshots of a recent state; the wrong ones lose, repeat, reorder or show too early
what was appended. Each history is judged at one level, which follows from the history itself, so that one subject is
about all of them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from chaoskit.checks.models.list_append import MODEL
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
State = dict[str, tuple[int, ...]]


class AnyLevel:
    """The model, asked about the level that belongs to the history."""

    name, summary, functions, alterations = "list-append", "", MODEL.functions, ()

    def __init__(self, levels: tuple[str, ...] = LEVELS) -> None:
        self.levels = levels

    def check(self, operations: Operations, options: Options) -> Result:
        level = self.levels[int(operations.invoked.sum()) // 2 % len(self.levels)]
        return MODEL.check(operations, Options(consistency=level))


# Systems: called once per transaction, at its commit. `past` holds the state after every commit.


class System:
    """Applies transactions to lists; what a read sees and what an append does depends on the kind."""

    def __init__(self, kind: str, random: random.Random) -> None:
        self.kind, self.random = kind, random
        self.past: list[State] = [dict.fromkeys(KEYS, ())]
        self.late: list[tuple[str, int]] = []

    def __call__(self, call: Call, random: random.Random) -> Any:
        now = self.past[-1]
        bug = self.kind if random.random() < 0.6 else "serial"
        back = random.randrange(1, 4) if random.random() < 0.5 and self.kind != "serial" else 1
        snapshot = self.past[-min(back, len(self.past))]
        if bug in ("serial", "aborted", "twice", "late", "reversed", "thin-air", "own-unseen", "own-early", "future"):
            snapshot = now
        after, own, result = dict(now), dict.fromkeys(KEYS, ()), []
        for f, key, value in call.value:
            if f == "append":
                own[key] += (value,)
                result.append((f, key, value))
                continue
            if bug == "committed":
                snapshot = random.choice(self.past[-3:])
            seen = snapshot[key] + (() if bug == "own-unseen" else own[key])
            if bug == "own-early":
                seen = snapshot[key] + tuple(v for g, k, v in call.value if g == "append" and k == key)
            if bug == "thin-air" and random.random() < 0.3:
                seen += (1000 + random.randrange(10),)
            result.append((f, key, seen))
        written = [key for key in KEYS if own[key]]
        if bug == "snapshot" and any(now[key] != snapshot[key] for key in written):
            return FAILED
        for key in written:
            added = own[key][::-1] if bug == "reversed" else own[key] * 2 if bug == "twice" else own[key]
            if bug == "late" and random.random() < 0.6:
                self.late.append((key, added[-1]))
                added = added[:-1]
            after[key] = (snapshot if bug == "overwrite" else now)[key] + added
        if self.late and bug != "late":
            key, value = self.late.pop()
            after[key] += (value,)
        self.past.append(after)
        return FAILED if bug == "aborted" else tuple(result)


RIGHT = ("serial", "snapshot", "committed", "skew")
WRONG = ("aborted", "overwrite", "twice", "late", "reversed", "thin-air", "own-unseen", "own-early", "future")


def history(random: random.Random, final: bool, kinds: Sequence[str] = (*RIGHT, *WRONG)) -> list[Call]:
    """Four to six transactions of three processes; `final`: at the end everything is read."""
    system = System(random.choice(kinds), random)
    keys = KEYS[: random.choice((2, 2, 3))]

    def ask(number: int, random: random.Random) -> Call:
        micro: list[tuple[str, str, Any]] = []
        for place in range(random.choice((1, 2, 2, 3))):
            key = random.choice(keys)
            append = random.random() < 0.5
            micro.append(("append", key, 10 * number + place) if append else ("r", key, None))
        return Call(0, "txn", value=tuple(micro))

    def only_reads(call: Call) -> bool:
        return all(one[0] == "r" for one in call.value)

    count = random.choice((4, 5, 5, 6))
    calls = simulate(ask, system, count=count, processes=3, random=random, info=0.3, fails=0.02, is_read=only_reads)
    if system.kind == "future":
        _foretell(calls, system.past[-1], random)
    if final:
        begun = max(max(call.invoked, call.completed) for call in calls) + 1
        while system.late:
            key, value = system.late.pop()
            system.past[-1][key] += (value,)
        seen = tuple(("r", key, system.past[-1][key]) for key in keys)
        asked = tuple(("r", key, None) for key in keys)
        process = max(call.process for call in calls) + 1
        calls.append(Call(process, "txn", asked, result=seen, invoked=begun, completed=begun + 1, final=True))
    return calls


def _foretell(calls: list[Call], state: State, random: random.Random) -> None:
    """Let a read show the list up to an append of a transaction that began only later."""
    choices = [
        (call, at, key, state[key][: state[key].index(value) + 1])
        for call in calls
        if call.outcome == "ok"
        for at, (f, key, _) in enumerate(call.value)
        if f == "r"
        for later in calls
        if later.invoked > call.completed
        for g, other, value in later.value
        if (g, other) == ("append", key) and value in state[key]
    ]
    if choices:
        call, at, key, seen = random.choice(choices)
        call.result = (*call.result[:at], ("r", key, seen), *call.result[at + 1 :])


# Brute force: commits in every order. A transaction is (position among calls, micro-operations, call).


def legal(calls: list[Call], levels: tuple[str, ...] = LEVELS) -> bool:
    """Whether the level of this history allows it."""
    return allowed(calls, levels[sum(call.invoked for call in calls) % len(levels)])


def allowed(calls: list[Call], level: str) -> bool:
    """Whether some order of commits explains all reads as a level understands it, and nothing was read too early."""
    calls = [call for call in calls if call.outcome != "fail"]
    if _too_early(calls):
        return False
    placed = {
        "read-committed": _committed,
        "read-atomic": _atomic,
        "repeatable-read": _serial,
        "snapshot-isolation": _snapshot,
    }.get(level, _serial)
    if level == "strict-serializable":
        return _search(calls, [{}], placed, lambda one, other: _over(one, other))
    if level == "strong-session-serializable":
        return _search(calls, [{}], placed, lambda one, other: one.process == other.process and _over(one, other))
    return _search(calls, [{}], placed, lambda one, other: False)


def _over(one: Call, other: Call) -> bool:
    return one.outcome == "ok" and one.completed < other.invoked


def _too_early(calls: list[Call]) -> bool:
    """Whether something was read before anybody asked to append it, be it by the transaction itself."""
    begun = {(key, value): call.invoked for call in calls for f, key, value in call.value if f == "append"}
    for call in calls:
        ahead = {(key, value) for f, key, value in call.value if f == "append"}
        for f, key, value in call.result or ():
            ahead.discard((key, value))
            if f == "r" and any(
                (key, one) in ahead or begun.get((key, one), 0) > call.completed for one in value or ()
            ):
                return True
    return False


Placed = Callable[[Call, list[State]], bool]


def _search(left: list[Call], past: list[State], placed: Placed, before: Callable[[Call, Call], bool]) -> bool:
    if all(call.outcome == "info" for call in left):
        return True
    for call in left:
        if any(before(other, call) for other in left if other is not call) or not placed(call, past):
            continue
        after = dict(past[-1])
        for f, key, value in call.value:
            if f == "append":
                after[key] = (*after.get(key, ()), value)
        if _search([other for other in left if other is not call], [*past, after], placed, before):
            return True
    return False


def _run(call: Call, state: State) -> bool:
    if call.outcome == "info":
        return True
    state = dict(state)
    for f, key, value in call.result:
        if f == "append":
            state[key] = (*state.get(key, ()), value)
        elif state.get(key, ()) != (value or ()):
            return False
    return True


def _serial(call: Call, past: list[State]) -> bool:
    return _run(call, past[-1])


def _snapshot(call: Call, past: list[State]) -> bool:
    written = {key for f, key, _ in call.value if f == "append"}
    return any(
        _run(call, state) and all(state.get(key, ()) == past[-1].get(key, ()) for key in written) for state in past
    )


def _given(call: Call) -> list[tuple[str, tuple[int, ...]]]:
    """What each read was given, without the transaction's own appends at its end."""
    own = {(key, value) for f, key, value in call.value if f == "append"}
    given = []
    for f, key, value in call.result or ():
        if f == "r":
            value = value or ()
            while value and (key, value[-1]) in own:
                value = value[:-1]
            given.append((key, value))
    return given


def _committed(call: Call, past: list[State]) -> bool:
    return all(any(state.get(key, ()) == value for state in past) for key, value in _given(call))


def _atomic(call: Call, past: list[State]) -> bool:
    if not _committed(call, past):
        return False
    given = _given(call)
    if call.outcome == "ok" and not _run(call, dict(given[::-1])):
        return False
    for key, value in given:
        at = next(place for place, state in enumerate(past) if state.get(key, ()) == value)
        if not value:
            continue
        for other, read in given:
            if past[at].get(other, ()) != past[at - 1].get(other, ()) and len(read) < len(past[at][other]):
                return False
    return True


LIST_APPEND = Subject("list-append", AnyLevel, lambda random: history(random, True), legal, gate=2500)
# Where appends are left that nobody read, their order is unknown, and only snapshot isolation cannot do without it.
SETTLED = tuple(level for level in LEVELS if level != "snapshot-isolation")
LIST_APPEND_UNREAD = Subject(
    "list-append-unread",
    lambda: AnyLevel(SETTLED),
    lambda random: history(random, False, (*RIGHT, *WRONG, *WRONG)),
    lambda calls: legal(calls, SETTLED),
    gate=2500,
)
SUBJECTS = [LIST_APPEND, LIST_APPEND_UNREAD]
_READS = "chaoskit/checks/transactions/list_reads.py"
_RULES = "chaoskit/checks/transactions/list_rules.py"
_LISTS = "chaoskit/checks/transactions/lists.py"
_CYCLES = "chaoskit/checks/transactions/cycles.py"
_GRAPH = "chaoskit/checks/transactions/graph.py"
_LEVELS = "chaoskit/checks/transactions/anomalies.py"


def _mutant(rule: str, file: str, old: str, new: str, subject: str = "LIST_APPEND") -> Mutant:
    return Mutant(f"histories.list_append:{subject}", rule, file, old, new)


MUTANTS = [
    *(
        _mutant(f"no rule {name}", file, f"    yield from {name}\n", "")
        for name, file in (
            ("_thin_air(lists)", _READS),
            ("_future(lists)", _READS),
            ("_aborted(lists)", _READS),
            ("_twice(lists)", _READS),
            ("_incompatible(lists)", _READS),
            ("_internal(lists)", _READS),
            ("_own_order(lists)", _RULES),
            ("_intermediate(lists, reads)", _RULES),
            ("_fractured(lists, inside)", _RULES),
        )
    ),
    _mutant("no order of appends", _LISTS, "pairs = [order.writes(), ", "pairs = ["),
    _mutant("nobody comes after what was read", _LISTS, ", reads.dependencies()]", "]"),
    _mutant("nobody comes before what was missed", _LISTS, "        pairs.append(reads.antidependencies())\n", ""),
    _mutant(
        "missed is what was read last", _LISTS, "seen < end, append[seen], NONE", "seen > low, append[seen - 1], NONE"
    ),
    _mutant(
        "unseen appends come after nothing",
        _LISTS,
        "        pairs.append((WW, *unseen.after(np.arange(micro.key_count), order.last_of_key(), None)))\n",
        "",
        "LIST_APPEND_UNREAD",
    ),
    _mutant(
        "unseen appends were not missed by anybody",
        _LISTS,
        "        pairs.append((RW, *unseen.after(micro.read_key[after], micro.read_txn[after], _UNSEEN)))\n",
        "",
        "LIST_APPEND_UNREAD",
    ),
    _mutant(
        "unknown outcomes did not happen",
        _LISTS,
        "        committed[micro.write_txn[seen]] |= operations.info[micro.write_txn[seen]]\n",
        "",
    ),
    _mutant("own appends are versions", _LISTS, "micro.length - _own_tails(micro, find)", "micro.length.copy()"),
    _mutant("reads are not compared", _LISTS, 'side="right")] = False', 'side="right")] = True'),
    _mutant(
        "RW may follow RW",
        _CYCLES,
        "np.concatenate([target, target, self.target[rw] + count]),",
        "np.concatenate([target, target, self.target[rw]]),",
    ),
    _mutant(
        "a session has no order", _CYCLES, "_once(edges.joined(session_edges(operations, members)))", "_once(edges)"
    ),
    _mutant(
        "sessions are all one",
        _GRAPH,
        "operations.session[members], return_inverse",
        "operations.session[members] * 0, return_inverse",
    ),
    _mutant("no real time", _CYCLES, "self._knotted(_TIMED, LATE) + self._real_time()", "[]"),
    _mutant("missing is not refuting snapshots", _LEVELS, '"G-single": _NO_SNAPSHOT', '"G-single": ("serializable",)'),
    _mutant("skew refutes snapshots", _LEVELS, '"G2-item": ("repeatable-read",)', '"G2-item": _NO_SNAPSHOT'),
]
