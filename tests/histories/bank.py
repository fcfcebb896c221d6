"""Banks: right ones, and ones that show half a transfer, lose a credit, overdraw, forget or invent an account."""

from __future__ import annotations

import random
from typing import Any

from chaoskit.checks.models.bank import Bank
from chaoskit.checks.result import Options
from histories.brute import NEVER, WRONG, Op, linearizable
from histories.comparing import Subject
from histories.mutation import Mutant
from histories.simulate import FAILED, Call, simulate

FILE = "chaoskit/checks/models/bank.py"
START = {"a": 3, "b": 2, "c": 0}


def history(generator: random.Random) -> list[Call]:
    balances: dict[str, Any] = dict(START)
    owed: list[tuple[str, int]] = []
    bug = generator.choice((None, "torn", "lost", "overdrawn", "nil", "nothing", "ghost", "named"))

    def ask(_: int, generator: random.Random) -> Call:
        if generator.random() < 0.5:
            return Call(0, "read")
        source, target = generator.sample(["a", "b", "c"], 2)
        target = "d" if bug == "named" and generator.random() < 0.5 else target
        return Call(0, "transfer", {"from": source, "to": target, "amount": generator.randint(1, 3)})

    def system(call: Call, generator: random.Random) -> Any:
        strikes = generator.random() < 0.5
        if call.f == "read":
            seen = {account: balance for account, balance in balances.items() if balance or strikes}
            extra = {"nil": {"c": None}, "ghost": {"z": 1, "b": balances["b"] - 1}}
            if bug == "nothing" and strikes:
                return None
            return {**seen, **extra.get(bug or "", {})} if strikes else seen
        while owed:
            account, amount = owed.pop()
            balances[account] = balances.get(account, 0) + amount
        source, target, amount = call.value["from"], call.value["to"], call.value["amount"]
        if balances[source] < amount and bug != "overdrawn":
            return FAILED
        balances[source] -= amount
        if bug == "torn" and strikes:
            owed.append((target, amount))
        elif not (bug == "lost" and strikes):
            balances[target] = balances.get(target, 0) + amount
        return None

    return simulate(ask, system, count=generator.randint(6, 9), processes=3, random=generator, info=0.4, fails=0.03)


def adds_up(total: int | None, calls: list[Call]) -> bool:
    """Every snapshot by itself, and beside the first one that is whole."""
    reads = sorted((call for call in calls if call.f == "read" and call.outcome == "ok"), key=lambda r: r.completed)
    answers = [read.result for read in reads]
    if any(answer is None or None in answer.values() or min(answer.values(), default=0) < 0 for answer in answers):
        return False
    if not answers:
        return True
    named = {call.value[end] for call in calls if call.f == "transfer" for end in ("from", "to")}
    expected = sum(answers[0].values()) if total is None else total
    return all(
        sum(one.values()) == expected and {a for a in one if one[a]} - named <= set(answers[0]) for one in answers
    )


def explained(calls: list[Call]) -> bool:
    """Some order of the transfers explains every snapshot."""

    def step(state: Any, op: Op) -> Any:
        if op.f == "read":
            answer = None if op.result is None else tuple(op.result.get(one, 0) for one in "abcd")
            return state if answer == state and "z" not in op.result else WRONG
        after = dict(zip("abcd", state, strict=True))
        after[op.value["from"]] -= op.value["amount"]
        after[op.value["to"]] += op.value["amount"]
        return WRONG if min(after.values()) < 0 else tuple(after.values())

    ops = [
        Op(c.process, c.f, c.value, c.result, c.invoked, NEVER if c.outcome == "info" else c.completed)
        for c in calls
        if c.outcome != "fail"
    ]
    return linearizable(ops, step, (3, 2, 0, 0))


FIRST = Subject("bank", Bank, history, lambda calls: adds_up(None, calls), gate=2000)
GIVEN = Subject("bank, any order", Bank, history, explained, Options(total=5), one_sided=True, gate=1500)
GIVEN_TOTAL = Subject("bank, total given", Bank, history, lambda calls: adds_up(5, calls), Options(total=5), gate=1500)
SUBJECTS = [FIRST, GIVEN]


def _mutant(rule: str, old: str, new: str, subject: str = "FIRST") -> Mutant:
    return Mutant(f"histories.bank:{subject}", rule, FILE, old, new)


MUTANTS = [
    _mutant("the total stays", "if sum(balances) != total:", "if False:"),
    _mutant("no balance below zero", "if not allow_negative and min(balances, default=0) < 0:", "if False:"),
    _mutant("no balance is nil", "return None if None in answer.values() else answer", "return answer"),
    _mutant(
        "an answer has balances", "    if answer is None:\n        return 1", "    if answer is None:\n        return 0"
    ),
    _mutant("no account out of thin air", "or not _strangers(answer, known)", "or True"),
    _mutant(
        "transfers name accounts", " | {account for move in moves for account in (move.debited, move.credited)}", ""
    ),
    _mutant("what is left out is empty", "if account not in known and _number(balance)]", "if account not in known]"),
    _mutant(
        "the total given is the measure",
        "if total is None else total\n            known",
        "\n            known",
        "GIVEN_TOTAL",
    ),
]
