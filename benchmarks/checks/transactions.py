"""Judging list-append histories: time and memory, from operations in memory to the verdict.

python benchmarks/checks/transactions.py [transactions]      (a child process, so that its peak memory is its own)
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PROMISES = {100_000: "< 1.5 s", 1_000_000: "< 20 s, < 2 GB"}
PROCESSES, KEYS, APPENDS = 50, 5, 32


def history(count: int, stale: float = 0.0) -> Any:
    """Transactions of 1-4 micro-operations by 50 clients, in the manner of Elle's generator: few keys at a time, each
    retired after 32 appends. `stale`: share of transactions that read lists as they were a while ago.
    """
    from chaoskit.history.operation import Outcome
    from chaoskit.history.operations import Operations

    chance = random.Random(1)
    active = list(range(KEYS))
    lists: dict[int, tuple[int, ...]] = dict.fromkeys(active, ())
    older: dict[int, tuple[int, ...]] = {}
    values: list[Any] = []
    began, ended = [], []
    for number in range(count):
        old = stale and chance.random() < stale
        asked, answered = [], []
        for _ in range(chance.randrange(1, 5)):
            at = chance.randrange(KEYS)
            key = active[at]
            if chance.random() < 0.5:
                lists[key] += (len(lists[key]) + 1,)
                micro = ("append", key, lists[key][-1])
                asked.append(micro)
                answered.append(micro)
                if len(lists[key]) == APPENDS:
                    active[at] = max(active) + 1
                    lists[active[at]] = ()
            else:
                seen = lists[key]
                if old:
                    seen = older.get(key, ())[: chance.randrange(APPENDS)]
                asked.append(("r", key, None))
                answered.append(("r", key, seen))
        if number % 50 == 0:
            older = {key: lists[key] for key in active}
        values += [tuple(asked), tuple(answered)]
        # Took effect at 1,000 × number; each client has one open at a time, so intervals are about 50 × 1,000 long.
        began.append(1000 * number - chance.randrange(1, 24_000))
        ended.append(1000 * number + chance.randrange(1, 24_000))
    import numpy as np

    from chaoskit.history.operations import ranks

    invoked, completed = ranks(np.array(began), np.array(ended))
    order = np.argsort(invoked)
    numbers = np.arange(count)
    return Operations.make(
        process=(numbers % PROCESSES)[order],
        f=np.zeros(count),
        outcome=np.full(count, Outcome.OK),
        invoked=invoked[order],
        completed=completed[order],
        value=2 * numbers[order],
        result=2 * numbers[order] + 1,
        functions=("txn",),
        values=values,
    )


def measure(count: int, stale: float) -> dict[str, Any]:
    """In this process: build, forget how, judge."""
    sys.path.insert(0, str(ROOT))
    from chaoskit.checks.models.list_append import MODEL
    from chaoskit.checks.result import Options

    operations = history(count, stale)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    result = MODEL.check(operations, Options())
    return {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - cpu,
        "verdict": result.verdict,
        "history_mb": before / 1024,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "anomalies": {one.kind: one.count for one in result.anomalies},
    }


def rows() -> list[tuple[str, str, str, str]]:
    """For `make bench`."""
    found = []
    for count in (1_000, 10_000, 100_000, 1_000_000):
        for stale, what in ((0.0, "sound"), (0.0001, "1 in 10,000 stale")):
            done = subprocess.run(
                [sys.executable, __file__, str(count), str(stale)], capture_output=True, text=True, check=True
            )
            one = json.loads(done.stdout)
            found.append(
                (
                    f"list-append, {count:,} transactions, {what}: {one['verdict']}",
                    f"{one['cpu']:.2f} s of CPU, {one['peak_mb']:,.0f} MB",
                    f"{one['cpu'] / count * 1e6:.1f} µs a transaction; the history itself {one['history_mb']:,.0f} MB",
                    PROMISES.get(count, "-"),
                )
            )
    return found


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)))
