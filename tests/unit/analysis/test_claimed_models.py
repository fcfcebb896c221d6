"""Every model that is registered, claimed by an experiment whose workload records texts: from a stored run to verdicts.

Per model: what a right system answers, and one answer that no right system gives.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Any

import pytest

from chaoskit import registry
from chaoskit.analysis import analyse
from chaoskit.checks.power import power
from chaoskit.spec.model import Claim, Consistency

Op = dict[str, Any]  # as Book.add is given it; value and result as JSON where they are no texts


def op(f: str, key: str | None = None, value: Any = None, result: Any = None, **more: Any) -> Op:
    texts = {"value": value, "result": result}
    made = {name: one if one is None or isinstance(one, str) else json.dumps(one) for name, one in texts.items()}
    return {"f": f, "key": key, **made, "cls": "create", **more}


def look(f: str, key: str | None = None, result: Any = None, **more: Any) -> Op:
    return op(f, key, result=result, cls="resolve", **more)


def registers() -> Iterator[Op]:
    for n in range(200):
        yield op("write", "x", n)
        yield look("read", "x", n)


def compared() -> Iterator[Op]:
    yield op("write", "x", 0)
    for n in range(1, 200):
        yield op("cas", "x", [n - 1, n])
        yield look("read", "x", n)


def several() -> Iterator[Op]:
    for n in range(200):
        yield op("txn", None, [["w", "x", n], ["w", "y", -n]])
        yield look("txn", None, [["r", "x", n], ["r", "y", -n]], value=json.dumps([["r", "x", None], ["r", "y", None]]))


def locks(**token: bool) -> Iterator[Op]:
    for n in range(110):
        yield op("acquire", "l", result=n + 1 if token else None, process=n % 5)
        yield op("release", "l", process=n % 5)


def texts() -> Iterator[Op]:
    for n in range(150):
        yield op("put", "x", f"v{n}")
        yield look("get", "x", f"v{n}")


def elements(f: str) -> Callable[[], Iterator[Op]]:
    def made() -> Iterator[Op]:
        for n in range(150):
            yield op(f, "x", n)
            yield look("read", "x", list(range(n + 1)))

    return made


def replicas(keys: int = 100) -> Iterator[Op]:
    for n in range(keys):
        yield op("write", f"k{n}", n)
    for n in range(keys):
        for node in (1, 2):
            yield look("read", f"k{n}", n, node=node, phase=2)


def queues() -> Iterator[Op]:
    for n in range(150):
        yield op("enqueue", "q", n)
        yield op("dequeue", "q", result=n)


def emptied() -> Iterator[Op]:
    yield from queues()
    yield op("drain", "q", result=[])


def counted() -> Iterator[Op]:
    for n in range(150):
        yield op("add", "c", 2)
        yield look("read", "c", 2 * n + 2)


def accounts() -> Iterator[Op]:
    money = {"a": 1000, "b": 1000}
    for _ in range(150):
        yield look("read", None, money)
        yield op("transfer", None, {"from": "a", "to": "b", "amount": 3})
        money = {"a": money["a"] - 3, "b": money["b"] + 3}


def ids() -> Iterator[Op]:
    for n in range(250):
        yield op("generate", None, result=f"id-{n}")


def requests() -> Iterator[Op]:
    for n in range(150):
        yield op("execute", f"r{n}", f"pay {n}")
        yield look("read", f"r{n}", 1)


def messages() -> Iterator[Op]:
    for n in range(150):
        yield op("send", "p", f"m{n}", n)
        yield look("poll", "p", [[one, f"m{one}"] for one in range(max(0, n - 5), n + 1)])


def once() -> Iterator[Op]:
    for n in range(150):
        yield op("write", f"k{n}", f"v{n}")
        yield look("read", f"k{n}", f"v{n}")


def groups() -> Iterator[Op]:
    for n in range(150):
        x, y = 2 * n, 2 * n + 1
        asked = json.dumps([["r", x, None], ["r", y, None]])
        yield op("write", None, [["w", x, 1]])
        yield look("read", None, [["r", x, 1], ["r", y, None]], value=asked)
        yield op("write", None, [["w", y, 1]])
        yield look("read", None, [["r", x, 1], ["r", y, 1]], value=asked)


def lists() -> Iterator[Op]:
    for n in range(120):
        yield op("txn", None, [["append", "x", n]], [["append", "x", n]])
        yield look("txn", None, [["r", "x", list(range(n + 1))]], value=json.dumps([["r", "x", None]]))


def versions() -> Iterator[Op]:
    for n in range(120):
        found = n - 1 if n else None
        yield op("txn", None, [["r", "x", None], ["w", "x", n]], [["r", "x", found], ["w", "x", n]])
        yield look("txn", None, [["r", "x", n]], value=json.dumps([["r", "x", None]]))


@dataclass(frozen=True)
class Case:
    """right: what a right system answers. wrong: what only a wrong one does, after that. kind: what that is called."""

    right: Callable[[], Iterator[Op]]
    wrong: tuple[Op, ...]
    kind: str


READ_X = json.dumps([["r", "x", None]])
CASES = {
    "register": Case(registers, (look("read", "x", 7),), "stale-read"),
    "cas-register": Case(compared, (op("cas", "x", [7, 900]),), "lost-update"),
    "multi-register": Case(several, (look("txn", None, [["r", "x", 7]], value=READ_X),), "not-linearizable"),
    "mutex": Case(locks, (op("acquire", "l", process=1), op("acquire", "l", process=2)), "not-linearizable"),
    "reentrant-mutex": Case(locks, (op("acquire", "l", process=1), op("acquire", "l", process=2)), "not-linearizable"),
    "fenced-mutex": Case(lambda: locks(token=True), (op("acquire", "l", result=3, process=1),), "not-linearizable"),
    "kv": Case(texts, (look("get", "x", "v7"),), "stale-read"),
    "append": Case(elements("append"), (look("read", "x", [0, 1]),), "stale-read"),
    "set": Case(elements("add"), (look("read", "x", [0, 1]),), "stale-read"),
    "set-full": Case(elements("add"), (look("read", "x", [0, 1]),), "lost"),
    "convergence": Case(replicas, (look("read", "k7", None, node=2, phase=2),), "lost"),
    "fifo-queue": Case(queues, (op("dequeue", "q", result=7),), "duplicate"),
    "queue": Case(emptied, (op("dequeue", "q", result=7),), "duplicate"),
    "counter": Case(counted, (look("read", "c", 10),), "non-monotonic"),
    "bank": Case(accounts, (look("read", None, {"a": 1, "b": 1}),), "wrong-total"),
    "unique-ids": Case(ids, (op("generate", None, result="id-7"),), "duplicate"),
    "effects": Case(requests, (look("read", "r7", 2),), "duplicate"),
    "log": Case(messages, (look("poll", "p", [[7, "m8"]]),), "inconsistent-offsets"),
    "immutable": Case(once, (look("read", "k7", "v8"),), "changed"),
    "long-fork": Case(
        groups,
        (look("read", None, [["r", 0, None], ["r", 1, 1]], value=json.dumps([["r", 0, None], ["r", 1, None]])),),
        "long-fork",
    ),
    "list-append": Case(lists, (look("txn", None, [["r", "x", [0, 1]]], value=READ_X),), "G-single-realtime"),
    "rw-register": Case(versions, (look("txn", None, [["r", "x", 7]], value=READ_X),), "G-single-realtime"),
}


def judged(bench: Any, book: Any, model: str, operations: list[Op]) -> Any:
    """The finding about a stored run in which all of this was done, one after the other."""
    book.functions = list(dict.fromkeys(one["f"] for one in operations))
    book.nodes.append("api-2")
    nodes = []
    for place, one in enumerate(operations):
        given = dict(one)
        nodes.append(given.pop("node", 1))
        book.add(place * 0.02, 0.01, **given)
    history = book.history()
    history.rows["node"] = nodes
    level = next(iter(registry.load("model", model).levels), "")
    claim = Claim(id="c", consistency=Consistency(model=model, level=level))
    bench.claims, bench.fault, bench.invariants = (claim,), None, ()
    bench.mix = {one["cls"]: 1.0 for one in operations if one.get("phase") != 2}
    bench.store()
    bench.cell(history)
    (summary,) = analyse(bench.run).claims
    return summary.findings[0]


def test_no_model_is_forgotten() -> None:
    assert set(CASES) == set(registry.names("model"))


@pytest.fixture
def few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bugs in five places of each kind: enough to know that they are found, and quick."""
    monkeypatch.setattr("chaoskit.checks.consistency.power", partial(power, tries=5))


@pytest.mark.usefixtures("few_tries")
@pytest.mark.parametrize("model", CASES)
def test_a_right_system_is_held(bench: Any, new_book: Any, model: str) -> None:
    found = judged(bench, new_book(), model, list(CASES[model].right()))
    assert (found.verdict, found.reasons) == ("held", ())
    assert any(one.found for one in found.planted)


@pytest.mark.parametrize("model", CASES)
def test_one_wrong_answer_refutes(bench: Any, new_book: Any, model: str) -> None:
    case = CASES[model]
    found = judged(bench, new_book(), model, [*case.right(), *case.wrong])
    assert (found.verdict, case.kind in found.anomalies) == ("refuted", True)
    assert found.witness is not None


@pytest.mark.parametrize("model", CASES)
def test_with_few_operations_nothing_is_held(bench: Any, new_book: Any, model: str) -> None:
    few = CASES[model].right() if model != "convergence" else replicas(keys=49)
    counts: Counter[str] = Counter()
    begun = takewhile(lambda one: counts.update([one["cls"]]) or counts[one["cls"]] < 100, few)
    found = judged(bench, new_book(), model, list(begun))
    assert found.verdict == "inconclusive"
    assert any("at least 100 are needed" in reason for reason in found.reasons)


def unknown(steps: Callable[[int], list[Any]], f: str = "txn") -> list[Op]:
    return [look(f, None, steps(n), value=json.dumps(steps(n))) for n in range(150)]


# Many answers, none of which could be wrong: about what nobody ever wrote, or of one operation per object.
NOTHING = [look("read", f"k{n}") for n in range(150)]
BLIND = {
    "register": NOTHING,
    "cas-register": NOTHING,
    "multi-register": unknown(lambda n: [["r", f"k{n}", None]]),
    "mutex": [op("acquire", f"k{n}") for n in range(150)],
    "reentrant-mutex": [op("acquire", f"k{n}") for n in range(150)],
    "fenced-mutex": [op("acquire", f"k{n}", result=1) for n in range(150)],
    "kv": [look("get", f"k{n}") for n in range(150)],
    "append": NOTHING,
    "set": NOTHING,
    "set-full": NOTHING,
    "convergence": [look("read", f"k{n}", node=node, phase=2) for n in range(150) for node in (1, 2)],
    "fifo-queue": [op("dequeue", f"k{n}") for n in range(150)],
    "queue": [op("dequeue", f"k{n}") for n in range(150)],
    "counter": NOTHING,
    "bank": [op("transfer", None, {"from": "a", "to": "b", "amount": 3}) for _ in range(150)],
    "unique-ids": [op("generate", f"k{n}", result="id") for n in range(150)],
    "effects": NOTHING,
    "log": [look("poll", f"k{n}", []) for n in range(150)],
    "immutable": NOTHING,
    "long-fork": unknown(lambda n: [["r", 2 * n, None], ["r", 2 * n + 1, None]], "read"),
    "list-append": unknown(lambda n: [["r", f"k{n}", None]]),
    "rw-register": unknown(lambda n: [["r", f"k{n}", None]]),
}


@pytest.mark.parametrize("model", CASES)
def test_answers_that_could_not_be_wrong_hold_nothing(bench: Any, new_book: Any, model: str) -> None:
    found = judged(bench, new_book(), model, BLIND[model])
    assert found.verdict == "inconclusive"
    assert found.reasons in (
        ("only 0 operations could have shown an anomaly: at least 100 are needed",),
        ("no bug could have struck in these answers",),
    )
