"""Small histories of locks: plain, reentrant, and with tokens."""

from __future__ import annotations

import random as randomness
from typing import Any

from histories import brute
from histories.brute import NEVER, WRONG, Op
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import FAILED, Call, simulate


class Locks:
    """Locks with at most one bug. Who acquires is named by the operation, else it is the process."""

    BUGS = ("none", "shared", "forgets", "anybody", "token", "refuses")

    def __init__(self, bug: str, depth: int, owned: bool) -> None:
        self.bug, self.depth, self.owned = bug, depth, owned
        self.held: dict[Any, list[Any]] = {}
        self.token = 0

    def __call__(self, call: Call, random: randomness.Random) -> Any:
        bug = self.bug if random.random() < 0.7 else "none"
        owner = call.process if call.value is None else call.value["client"]
        held = self.held.setdefault(call.key, [])
        if call.f == "acquire":
            mine = not held or (self.depth > 1 and held[0] == owner and len(held) < self.depth)
            if not mine and bug != "shared":
                return FAILED
            if bug != "forgets":
                held.append(owner)
            self.token += 0 if bug == "token" else 1
            return FAILED if bug == "refuses" else self.token
        if not held or (self.owned and owner not in held and bug != "anybody"):
            return FAILED
        if bug != "forgets":
            held.pop()
        return None


def _ask(named: bool, keys: int) -> Any:
    def ask(number: int, random: randomness.Random) -> Call:
        owner = {"client": random.choice("ab")} if named else None
        key = random.randrange(keys) if keys > 1 else None
        return Call(0, "acquire" if random.random() < 0.55 else "release", owner, key)

    return ask


def plain(state: Any, op: Op) -> Any:
    held = dict(state)
    if op.f == "acquire" and not held.get(op.key):
        return tuple({**held, op.key: True}.items())
    if op.f == "release" and held.get(op.key):
        return tuple({**held, op.key: False}.items())
    return WRONG


def reentrant(state: Any, op: Op) -> Any:
    held, owner = dict(state), op.process if op.value is None else op.value["client"]
    line = held.get(op.key, "")
    mine = f"[{owner}]"
    if op.f == "acquire" and line.replace(mine, "") == "":
        return tuple({**held, op.key: line + mine}.items())
    if op.f == "release" and line.startswith(mine):
        return tuple({**held, op.key: line[len(mine) :]}.items())
    return WRONG


def fenced(state: Any, op: Op) -> Any:
    """The tokens given out so far, of each key, and behind them who holds it."""
    held, owner = dict(state), op.process if op.value is None else op.value["client"]
    tokens, holder = held.get(op.key, ((), "nobody"))
    if op.f == "acquire" and holder == "nobody":
        given = () if op.info or op.result is None else (op.result,)
        if all(one < other for one in tokens for other in given):
            return tuple({**held, op.key: (tokens + given, owner)}.items())
    if op.f == "release" and holder == owner:
        return tuple({**held, op.key: (tokens, "nobody")}.items())
    return WRONG


def _subject(name: str, step: Any, depth: int, owned: bool, tokens: bool) -> Subject:
    def load() -> Any:
        from chaoskit.registry import load

        return load("model", name)

    def history(random: randomness.Random) -> list[Call]:
        system = Locks(random.choice(Locks.BUGS), depth, owned)
        count, processes = random.randint(7, 9), 3
        ask = _ask(owned and random.random() < 0.5, random.choice((1, 1, 1, 2)))
        calls = simulate(ask, system, count=count, processes=processes, random=random, info=0.2)
        if not tokens or random.random() < 0.1:
            for call in calls:
                call.result = None
        return calls

    def legal(calls: list[Call]) -> bool:
        ops = [
            Op(c.process, c.f, c.value, c.result, c.invoked, NEVER if c.outcome == "info" else c.completed, c.key)
            for c in calls
            if c.outcome != "fail"
        ]
        return brute.linearizable(ops, step, ())

    return Subject(name, load, history, legal)


MUTEX = _subject("mutex", plain, 1, owned=False, tokens=False)
REENTRANT = _subject("reentrant-mutex", reentrant, 2, owned=True, tokens=False)
FENCED = _subject("fenced-mutex", fenced, 1, owned=True, tokens=True)
SUBJECTS = [MUTEX, REENTRANT, FENCED]

_MODELS, _LOCKS = "chaoskit/checks/models", "chaoskit/checks/locks.py"


def _mutant(subject: str, rule: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(f"histories.mutex:{subject}", rule, file, old, new)


MUTANTS = [
    _mutant("MUTEX", "a lock is held once", f"{_MODELS}/mutex.py", "if held != acquires", "if not held or acquires"),
    _mutant("MUTEX", "what failed did not happen", f"{_MODELS}/mutex.py", "~operations.failed", "~operations.info"),
    _mutant(
        "REENTRANT", "nobody else", f"{_MODELS}/reentrant_mutex.py", "if held and held[0] != owner:", "if held == 0:"
    ),
    _mutant(
        "REENTRANT",
        "as often as it was acquired",
        f"{_MODELS}/reentrant_mutex.py",
        "if held[1] > 1 else ()",
        "if 0 else ()",
    ),
    _mutant(
        "REENTRANT", "only what is held is released", f"{_MODELS}/reentrant_mutex.py", "if not held:", "if held == 0:"
    ),
    _mutant(
        "REENTRANT",
        "an acquisition that is released may have happened",
        _LOCKS,
        "kept[one] = last.get((keys[one], owner[one]), -1) > int(operations.invoked[one])",
        "kept[one] = False",
    ),
    _mutant(
        "REENTRANT",
        "a name goes before the process",
        _LOCKS,
        "if all(client is None for",
        "if True or all(client is None for",
    ),
    _mutant("FENCED", "tokens grow", f"{_MODELS}/fenced_mutex.py", "token > highest", "token >= highest"),
    _mutant("FENCED", "the holder releases", f"{_MODELS}/fenced_mutex.py", "if holder == owner else", "if holder else"),
    _mutant("FENCED", "it is held once", f"{_MODELS}/fenced_mutex.py", "if holder is not None:", "if holder == 0:"),
    _mutant(
        "FENCED", "an unknown token may be any", f"{_MODELS}/fenced_mutex.py", "if token is None:", "if token == 0:"
    ),
]
