"""Small histories of texts that are put, appended to and read."""

from __future__ import annotations

import random as randomness
from typing import Any

from histories import brute
from histories.brute import NEVER, WRONG, Op
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import FAILED, Call, simulate


class Texts:
    """Texts by key with at most one bug."""

    BUGS = ("none", "stale", "forgets", "twice", "swaps", "aborted", "invents")

    def __init__(self, bug: str) -> None:
        self.bug = bug
        self.now: dict[Any, str] = {}
        self.before: dict[Any, str] = {}

    def __call__(self, call: Call, random: randomness.Random) -> Any:
        bug = self.bug if random.random() < 0.75 else "none"
        text = self.now.get(call.key, "")
        if call.f == "get":
            if bug == "stale":
                text = self.before.get(call.key, "")
            if bug == "invents":
                text += "z"
            return text or random.choice(("", None))
        after = (call.value or "") if call.f == "put" else text + call.value
        if bug == "swaps" and call.f == "append":
            after = call.value + text
        if bug == "twice" and call.f == "append":
            after += call.value
        if bug != "forgets":
            self.before[call.key], self.now[call.key] = text, after
        return FAILED if bug == "aborted" else None


def _ask(appends: float, few: bool, keys: int) -> Any:
    def ask(number: int, random: randomness.Random) -> Call:
        key = random.randrange(keys) if keys > 1 else None
        if random.random() < 0.45:
            return Call(0, "get", None, key)
        if random.random() < 0.1:
            return Call(0, "put", random.choice(("", None)), key)
        value = random.choice("ab") if few else "abcdefghijkl"[number]
        return Call(0, "append" if random.random() < appends else "put", value, key)

    return ask


def step(state: Any, op: Op) -> Any:
    """The text of a key as a tuple of letters."""
    texts = dict(state)
    letters = texts.get(op.key, ())
    if op.f == "get":
        return state if op.info or "".join(letters) == (op.result or "") else WRONG
    new = tuple(op.value or "")
    return tuple({**texts, op.key: new if op.f == "put" else letters + new}.items())


def legal(calls: list[Call]) -> bool:
    ops = [
        Op(c.process, c.f, c.value, c.result, c.invoked, NEVER if c.outcome == "info" else c.completed, c.key)
        for c in calls
        if c.outcome != "fail" and not (c.outcome == "info" and c.f == "get")
    ]
    return brute.linearizable(ops, step, ())


def history(random: randomness.Random) -> list[Call]:
    system = Texts(random.choice(Texts.BUGS))
    ask = _ask(random.choice((0.0, 0.3, 0.7, 1.0)), random.random() < 0.5, random.choice((1, 1, 2)))
    count, processes = random.randint(6, 7), 3
    return simulate(ask, system, count=count, processes=processes, random=random, info=0.2, is_read=lambda call: False)


def _load() -> Any:
    from chaoskit.registry import load

    return load("model", "kv")


KV = Subject("kv", _load, history, legal)
SUBJECTS = [KV]
_FILE = "chaoskit/checks/models/kv.py"


def _mutant(rule: str, old: str, new: str) -> Mutant:
    return Mutant("histories.kv:KV", rule, _FILE, old, new)


MUTANTS = [
    _mutant("what is appended stands behind", 'if f == "put" else state + text', 'if f == "put" else text + state'),
    _mutant("a get shows all", "return state if state == text else None", "return state if state >= text else None"),
    _mutant("a put replaces all", 'return text if f == "put" else', 'return text if f == "get" else'),
    _mutant("nil is the empty text", "isinstance(one, str) and not one", "one is None"),
    _mutant("what failed did not happen", "operations.ok | (operations.info & ~gets)", "~(operations.info & gets)"),
    _mutant("what was seen may have happened", "bool(text) and text not in shown", "bool(text)"),
    Mutant(
        "histories.kv:KV",
        "what is appended alone is a list only if nothing is put",
        "chaoskit/checks/texts.py",
        "if len(part) and appends[part].all():",
        "if len(part) and appends[part].any():",
    ),
    _mutant("a list that is illegal refutes", "if not found.anomalies:", "if found.anomalies or True:"),
    _mutant("keys do not meet", "grows = appended[keys]", "grows = appended[keys] & appended.all()"),
]
