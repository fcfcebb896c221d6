"""Queues in any order: right systems, planted losses and duplicates, and the rule by its definition."""

from __future__ import annotations

import random as randomness
from typing import Any

from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import FAILED, Call, simulate

BUGS = ("none", "none", "none", "drop", "drop", "twice", "zombie", "thin")


def history(random: randomness.Random) -> list[Call]:
    """6-8 enqueues, dequeues and drains of one or two queues, then something that proves each of them empty."""
    bug = random.choice(BUGS)
    keys = ("x",) if random.random() < 0.7 else ("x", "y")
    state: dict[str, list[Any]] = {key: [] for key in keys}
    gone: dict[str, list[Any]] = {key: [] for key in keys}
    asked = [0]

    def ask(number: int, random: randomness.Random) -> Call:
        asked[0] = number
        key = random.choice(keys)
        if random.random() < 0.6:
            return Call(0, "enqueue", value=number, key=key)
        return Call(0, random.choice(["dequeue", "dequeue", "drain"]), key=key)

    def system(call: Call, random: randomness.Random) -> Any:
        have, strikes = state[call.key], random.random() < 0.4
        if call.f == "enqueue":
            if not (strikes and bug == "drop"):
                have.append(call.value)
            return FAILED if strikes and bug == "zombie" else None
        random.shuffle(have)
        taken = have[:1] if call.f == "dequeue" else list(have)
        have[: len(taken)] = []
        if strikes and bug == "twice" and gone[call.key]:
            taken = [*taken[1:], random.choice(gone[call.key])]
        if strikes and bug == "thin":
            taken = [*taken[1:], random.choice([100, asked[0] + 1])]
        gone[call.key] += taken
        if call.f == "drain":
            return tuple(taken) or random.choice([(), None])
        return taken[0] if taken else None

    calls = simulate(
        ask, system, count=random.randint(6, 8), processes=3, random=random, info=0.25, is_read=lambda call: False
    )
    puts = [call for call in calls if call.f == "enqueue"]
    if puts and random.random() < 0.3:
        random.choice(puts).outcome = random.choice(["fail", "ok", "info"])
    clock = 1 + max(max(call.invoked, call.completed) for call in calls)
    for number, key in enumerate(keys):
        drain = Call(90, "drain", key=key, invoked=clock + 10 * number, completed=clock + 10 * number + 5)
        drain.result = system(drain, random)
        calls.append(drain)
    return calls


def legal(calls: list[Call]) -> bool:
    return all(_legal([call for call in calls if call.key == key]) for key in {call.key for call in calls})


def _legal(calls: list[Call]) -> bool:
    puts = {call.value: call for call in calls if call.f == "enqueue" and call.outcome != "fail"}
    out: list[tuple[Any, Call]] = []
    for call in calls:
        if call.outcome == "ok" and call.f == "dequeue" and call.result is not None:
            out.append((call.result, call))
        if call.outcome == "ok" and call.f == "drain":
            out += [(element, call) for element in call.result or ()]
    if len({element for element, _ in out}) < len(out):
        return False
    if any(element not in puts or puts[element].invoked > call.completed for element, call in out):
        return False
    drains = [call.invoked for call in calls if call.f == "drain" and call.outcome == "ok"]
    missing = [put for element, put in puts.items() if put.outcome == "ok" and element not in dict(out)]
    missing = [put for put in missing if any(put.completed < drain for drain in drains)]
    unknown = [call.f for call in calls if call.outcome == "info" and call.f != "enqueue"]
    return len(missing) <= len(unknown) or "drain" in unknown


def _model() -> Any:
    from chaoskit.checks.models.queue import MODEL

    return MODEL


QUEUE = Subject("queue", _model, history, legal)
SUBJECTS = [QUEUE]


def _mutant(rule: str, old: str, new: str) -> Mutant:
    return Mutant("histories.queue:QUEUE", rule, "chaoskit/checks/models/queue.py", old, new)


MUTANTS = [
    _mutant("no lost", "if len(queue.lost):", "if False:"),
    _mutant("no resurrection", 'add("resurrection", late,', 'add("resurrection", late & False,'),
    _mutant("no aborted read", 'add("aborted-read", queue.failed & ~late,', 'add("aborted-read", late & ~late,'),
    _mutant("no thin air", 'add("thin-air", group == NONE, thin)', "pass"),
    _mutant("no duplicate", 'add("duplicate", queue.again, twice)', "pass"),
    _mutant("no future read", 'add("future-read", early,', 'add("future-read", early & False,'),
    _mutant(
        "unknown dequeues excuse nothing",
        "excused = np.bincount(keys[dequeues & operations.info], minlength=count)",
        "excused = np.zeros(count, dtype=np.int64)",
    ),
    _mutant("unknown drains excuse nothing", "excused[keys[drains & operations.info]] = len(operations)", "pass"),
    _mutant("one excuse covers all", "count > self.excused)", "(count > 0) & (self.excused == 0))"),
    _mutant("what drains took does not count", "lists = [found[number] for", "lists = [() for"),
    _mutant(
        "unknown enqueues must come out",
        "(self.additions.known != NEVER) & ~self.came",
        "(self.additions.first != NONE) & ~self.came",
    ),
]
