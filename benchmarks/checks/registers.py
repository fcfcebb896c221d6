"""Registers with unique values: from a thousand to ten million operations, and beside Porcupine where it can follow.

    .venv/bin/python benchmarks/checks/registers.py [--quick]

Every history is made and judged in a process of its own, so that its peak of memory is its own; the time is that of the
check alone. Ratios are of the same history in the same minute, Porcupine on all cores, ours on one.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import rival  # noqa: E402

from chaoskit.units import format_count  # noqa: E402

Row = tuple[str, str, str, str]
LIMIT = 120.0  # seconds that Porcupine may take
GROWTH = ((10**3, ""), (10**4, ""), (10**5, ""), (10**6, "< 1.5 s, < 1 GB"), (10**7, "< 30 s, < 8 GB"))


def measured(count: int, clients: int, keys: int, rounds: int, file: str = "") -> dict[str, Any]:
    """Seconds, processor seconds, peak bytes and verdict of our check, as a process of its own finds them.

    Args:
        file: where the history shall be written for Porcupine, if anywhere.
    """
    argv = [sys.executable, __file__, "--child", *map(str, (count, clients, keys, rounds)), file]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(argv)} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def child(count: int, clients: int, keys: int, rounds: int, file: str) -> None:
    """Make a history, judge it some times, print what that took."""
    from generating import busy, for_porcupine

    from chaoskit.checks.result import Options
    from chaoskit.registry import load

    history, model = busy(count, clients, keys), load("model", "register")
    if file:
        for_porcupine(history, Path(file))
    model.check(busy(1000, clients, keys), Options())  # what is loaded on first use
    Path("/proc/self/clear_refs").write_text("5")  # the peak of making it does not count
    wall, cpu = [], []
    for _ in range(rounds):
        began, used = time.perf_counter(), time.process_time()
        result = model.check(history, Options())
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) << 10
    found = {"verdict": result.verdict, "seconds": statistics.median(wall), "cpu": statistics.median(cpu), "peak": peak}
    print(json.dumps(found))


def growth(quick: bool) -> list[Row]:
    """One register, 50 clients."""
    rows = []
    for count, promise in GROWTH[: 4 if quick else 5]:
        found = measured(count, 50, 1, 1 if count > 10**6 else 5)
        took = f"{found['cpu']:.3f} CPU s ({found['seconds']:.3f} s passed), {found['peak'] / 1e9:.2f} GB"
        each = f"{found['cpu'] / count * 1e9:,.0f} ns an operation, {found['verdict']}"
        rows.append((f"register, 1 key, 50 clients, {format_count(count)} operations", took, each, promise or "-"))
    return rows


def beside(name: str, count: int, clients: int, keys: int, promise: str, by_cpu: bool) -> Row:
    """The same history judged by both."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "history"
        ours = measured(count, clients, keys, 7, str(file))
        try:
            theirs = rival.asked(file, LIMIT)
        except (RuntimeError, subprocess.SubprocessError) as error:
            return (name, f"{ours['seconds']:.3f} s", f"Porcupine is not to be had: {error}", promise)
    if theirs.verdict == "Illegal" or ours["verdict"] != "held":
        sys.exit(f"{name}: we say {ours['verdict']}, Porcupine says {theirs.verdict}, and it is legal")
    ratio = theirs.cpu / ours["cpu"] if by_cpu else theirs.seconds / ours["seconds"]
    more = "> " if theirs.verdict == "Unknown" else ""
    took = f"{ours['cpu'] if by_cpu else ours['seconds']:.4f} {'CPU s' if by_cpu else 's'}, {ours['peak'] / 1e9:.2f} GB"
    against = f"{more}{theirs.cpu if by_cpu else theirs.seconds:.2f} {'CPU s' if by_cpu else 's'}, "
    return (name, took, f"Porcupine {against}{theirs.memory / 1e9:.2f} GB: {more}{ratio:,.1f} x", promise)


def from_file(count: int, clients: int) -> Row:
    """`chaoskit check` as people run it: from the file to the verdict, start-up included."""
    from generating import as_edn, busy

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "history.edn"
        as_edn(busy(count, clients), file)
        argv = [sys.executable, "-m", "chaoskit", "check", str(file), "--model", "register", "--no-power"]
        took, used = [], []
        for _ in range(3):
            began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
            took.append(time.perf_counter() - began)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
            if done.returncode:
                sys.exit(f"{' '.join(argv)} failed:\n{done.stdout}{done.stderr}")
    name = f"chaoskit check, {format_count(count)} operations of EDN"
    return (name, f"{min(used):.2f} CPU s ({min(took):.2f} s passed)", "start-up included", "< 2 s")


def rows(quick: bool = False) -> list[Row]:
    """For the table of `make bench`."""
    load = f"{os.getloadavg()[0]:.1f}"
    found = growth(quick)
    found.append(beside("register, 1 key, 10 clients, 2,000 operations", 2000, 10, 1, "-", by_cpu=False))
    if not quick:
        name = "register, 1 key, 10 clients, 20,000 operations"
        found.append(beside(name, 20_000, 10, 1, ">= 500 x", by_cpu=False))
    name = "register, 10,000 keys, 10 clients, 1,000,000 operations"
    found.append(beside(name, 10**6, 10, 10**4, ">= 2 x per CPU-second", by_cpu=True))
    found.append(from_file(20_000, 10))
    return [*found, ("load of the machine when the registers began", load, "-", "-")]


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(*map(int, sys.argv[2:6]), sys.argv[6])
    else:
        for row in rows("--quick" in sys.argv):
            print("  ".join(row), flush=True)
