"""Reading histories of a million operations: Jepsen's EDN as it is mostly printed, and otherwise, JSON lines, Parquet.

    .venv/bin/python benchmarks/checks/reading.py [COUNT]

Every file is read by a process of its own, so that its peak of memory is its own. What it stands beside is the same
file read line by line, with each line given to Python's own json (EDN is written as JSON for that). Processor time is
printed beside the time that passed: on a busy machine they differ, and the first is what the reader needs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import generating  # noqa: E402

from chaoskit.history.frame import History  # noqa: E402
from chaoskit.history.interchange.jepsen import FORMAT as JEPSEN  # noqa: E402
from chaoskit.history.interchange.lines import FORMAT as LINES  # noqa: E402
from chaoskit.history.interchange.open import open_history  # noqa: E402
from chaoskit.history.interchange.parquet import FORMAT as PARQUET  # noqa: E402
from chaoskit.history.operation import NONE, ROW, Answer  # noqa: E402
from chaoskit.history.operations import Operations  # noqa: E402
from chaoskit.history.storage import write_parquet  # noqa: E402

Row = tuple[str, str, str, str]
COUNT = 10**6
LISTS = 16  # elements of a list before its key is not used any more


def transactions(count: int) -> Iterator[str]:
    """Lines of a history of list-append transactions, one after the other, of one to four operations each."""
    random = np.random.default_rng(1)
    lists: list[list[int]] = [[] for _ in range(8)]
    names = list(range(8))
    fresh, index = 8, 0
    for number in range(count):
        asked, answered = [], []
        for slot, append in zip(random.integers(0, 8, number % 4 + 1).tolist(), random.random(4) < 0.5, strict=False):
            if append:
                if len(lists[slot]) >= LISTS:
                    lists[slot], names[slot], fresh = [], fresh, fresh + 1
                lists[slot].append(number * 4 + len(asked))
                asked.append(f"[:append {names[slot]} {lists[slot][-1]}]")
                answered.append(asked[-1])
            else:
                asked.append(f"[:r {names[slot]} nil]")
                answered.append(f"[:r {names[slot]} [{' '.join(map(str, lists[slot]))}]]")
        for kind, parts in (("invoke", asked), ("ok", answered)):
            rest = f":process {number % 50}, :time {index}, :index {index}"
            yield f"{{:type :{kind}, :f :txn, :value [{' '.join(parts)}], {rest}}}\n"
            index += 1


def frame(operations: Operations) -> History:
    """The same as rows of a run, for Parquet."""
    rows = np.zeros(len(operations), ROW)
    rows["index"] = operations.index
    rows["process"], rows["f"], rows["outcome"] = operations.process, operations.f, operations.outcome
    rows["key"] = NONE
    rows["value_id"], rows["result_id"] = operations.value, operations.result
    rows["t_due"] = rows["t_sent"] = rows["t_first"] = operations.began_ns
    rows["t_end"] = operations.ended_ns
    rows["answer"] = Answer.YES
    for column in ("session", "parent", "status"):
        rows[column] = NONE
    return History(rows, ("client",), ("all",), operations.functions, [str(one) for one in operations.values], 0)


def files(folder: Path, count: int) -> Iterator[tuple[str, Path, str, bool]]:
    """What is read: its name, the file, the promise, and whether json can be put beside it."""
    operations = generating.busy(count, 50)
    regular, lines = folder / "regular.edn", folder / "lines.jsonl"
    with open(regular, "wb") as out:
        JEPSEN.write(operations, out)
    with open(lines, "wb") as out:
        LINES.write(operations, out)
    write_parquet(frame(operations), folder / "history.parquet")
    with open(folder / "table.parquet", "wb") as out:
        PARQUET.write(operations, out)
    for name, old, new in (
        ("printed on several lines", ", :", "\n  :"),
        ("with a comment in each map", ", :time", " ; seen\n :time"),
    ):
        with open(regular) as source, open(folder / f"{name}.edn", "w") as out:
            out.writelines(line.replace(old, new) for line in source)
    with open(folder / "transactions.edn", "w") as out:
        out.writelines(transactions(count))
    yield "EDN, one map per line", regular, "< 15 s, < 3 GB", True
    yield "EDN, each map on several lines", folder / "printed on several lines.edn", "< 40 s, < 3 GB", False
    yield "EDN, whole reader for every map", folder / "with a comment in each map.edn", "< 40 s, < 3 GB", False
    yield "EDN, transactions", folder / "transactions.edn", "< 40 s, < 3 GB", False
    yield "JSON lines", lines, "", True
    yield "Parquet of a run", folder / "history.parquet", "< 1 s", False
    yield "Parquet, a table of operations", folder / "table.parquet", "< 1 s", False


def beside(path: Path) -> float:
    """Processor seconds for the same lines, as JSON, through Python's own json."""
    if path.suffix == ".edn":
        events = path.with_suffix(".json")
        with open(path) as source, open(events, "w") as out:
            for line in source:
                words = line.strip("{}\n").replace(",", "").split(" ")
                pairs = zip(words[::2], words[1::2], strict=True)
                out.write(json.dumps({key[1:]: int(v) if v.isdigit() else v for key, v in pairs}) + "\n")
        path = events
    before = time.process_time()
    with open(path) as source:
        for line in source:
            json.loads(line)
    return time.process_time() - before


def rows(count: int = COUNT) -> list[Row]:
    """What `make bench` prints."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, path, promise, compare in files(Path(folder), count):
            done = subprocess.run(
                [sys.executable, __file__, "--child", str(path)], cwd=ROOT, capture_output=True, text=True, check=True
            )
            took, busy, peak = json.loads(done.stdout)
            against = f"{busy / beside(path):.1f} x json.loads" if compare else "-"
            size = path.stat().st_size / 1e6
            what = f"read {count:,} operations, {name} ({size:,.0f} MB)"
            found.append((what, f"{busy:.2f} CPU s ({took:.2f} s passed), {peak:,.0f} MB", against, promise))
    return found


def child(path: str) -> None:
    """Read one file, and say how long it took and how much memory there was at most."""
    passed, busy = time.perf_counter(), time.process_time()
    operations, _ = open_history(path)
    passed, busy = time.perf_counter() - passed, time.process_time() - busy
    assert len(operations)
    # Not ru_maxrss: a child inherits that of whoever started it.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    print(json.dumps([passed, busy, int(peak.split()[1]) / 1e3]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
    else:
        for row in rows(int(sys.argv[1]) if sys.argv[1:] else COUNT):
            print(*row, sep="  ")
