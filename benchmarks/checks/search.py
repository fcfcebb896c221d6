"""The search beside Porcupine: registers whose values come again, legal and illegal, and a model of one's own.

    .venv/bin/python benchmarks/checks/search.py [--quick]

Both judge the same history in the same minute; what counts is processor time. Ours says why, too, and with which few
operations; Porcupine says yes or no. Also texts per key, where none is
searched.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import numpy as np  # noqa: E402
import rival  # noqa: E402
from generating import READ, busy, for_porcupine  # noqa: E402

from chaoskit.checks.models.user import wrap  # noqa: E402
from chaoskit.checks.result import Options  # noqa: E402
from chaoskit.history.operation import NONE  # noqa: E402
from chaoskit.history.operations import Operations  # noqa: E402
from chaoskit.registry import load  # noqa: E402
from chaoskit.units import format_count  # noqa: E402

Row = tuple[str, str, str, str]
LIMIT = 60.0  # seconds that Porcupine may take
CASES = ((500, 5, 5), (2000, 5, 5), (2000, 10, 5), (10_000, 10, 5), (2000, 10, 50))  # operations, clients, values


class Register:
    """A register as a user writes it down; -1 is nothing."""

    initial = -1

    def step(self, state: int, op: Any) -> int | None:
        if op.f == "write":
            return int(op.value)
        return state if state == (-1 if op.result is None else op.result) else None


def illegal(history: Operations) -> Operations:
    """The same with one late read that finds nothing."""
    reads = np.flatnonzero(history.f == READ)
    result = history.result.copy()
    result[reads[int(len(reads) * 0.9)]] = NONE
    return history.altered(result=result)


def beside(name: str, history: Operations, check: Callable[[Operations], Any], promise: str) -> Row:
    """One history judged by both, each three times; the least processor time counts."""
    used = []
    for _ in range(3):
        cpu = time.process_time()
        result = check(history)
        used.append(time.process_time() - cpu)
    told = f"{min(used):.4f} CPU s, {result.verdict}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "history"
        for_porcupine(history, file)
        try:
            answers = [rival.asked(file, LIMIT)]
            while len(answers) < 3 and answers[0].verdict != "Unknown":
                answers.append(rival.asked(file, LIMIT))
        except (RuntimeError, OSError) as error:
            return (name, told, f"Porcupine is not to be had: {error}", promise)
    theirs = min(answers, key=lambda one: one.cpu)
    if theirs.verdict != "Unknown" and (theirs.verdict == "Ok") != (result.verdict == "held"):
        sys.exit(f"{name}: we say {result.verdict}, Porcupine says {theirs.verdict}")
    more = "> " if theirs.verdict == "Unknown" else ""
    against = (
        f"Porcupine {more}{theirs.cpu:.4f} CPU s, {theirs.verdict}: ours takes {min(used) / theirs.cpu:.2f} x as long"
    )
    return (name, told, against, promise)


def rows(quick: bool = False) -> list[Row]:
    """For the table of `make bench`."""
    found = []
    register, own = load("model", "register"), wrap(Register)
    for count, clients, values in CASES[:3] if quick else CASES:
        legal = busy(count, clients, values=values)
        for word, history in (("legal", legal), ("illegal", illegal(legal))):
            name = f"register of {values} values, {clients} clients, {format_count(count)} operations, {word}"
            found.append(beside(name, history, lambda one: register.check(one, Options()), "<= 3 x"))
            name = f"the same by a model of one's own, {word}"
            found.append(beside(name, history, lambda one: own.check(one, Options()), "<= 3 x"))
    count = 10**5 if quick else 10**6
    history = busy(count, 10, count // 100)
    texts, kv = history.altered(functions=("get", "put")), load("model", "kv")
    name = f"kv, {format_count(count // 100)} keys, {format_count(count)} operations"
    found.append(beside(name, texts, lambda one: kv.check(one, Options()), "<= 0.5 x"))
    return found


if __name__ == "__main__":
    for row in rows("--quick" in sys.argv):
        print("  ".join(row), flush=True)
