"""`make bench`: every figure that the project promises, measured side by side, printed as one table.

Absolute times depend on the machine; each line also gives the ratio to a rival or a floor measured in the same run.
Beside each promise stands whether it was kept; those that were missed, or that need a look, are told again at the end.
"""

from __future__ import annotations

import importlib.util
import operator
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ROUNDS = 7
_NOTHING = ("-", "", "the floor")  # no promise
_UNITS = {
    "us": ("time", 1e-6),
    "ms": ("time", 1e-3),
    "s": ("time", 1.0),
    "MB": ("size", 1e6),
    "GB": ("size", 1e9),
    "x": ("ratio", 1.0),
}
_LIMIT = re.compile(r"(<=|>=|<|>) ([\d.]+) (us|ms|s|MB|GB|x)( idle| per CPU-second| Toxiproxy's)?$")
_FIGURE = re.compile(r"([\d,]*\.?\d+) (?:CPU )?(us|ms|s|MB|GB|x)\b")
_COMPARED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
os.environ.pop(
    "PYTHONDONTWRITEBYTECODE", None
)  # what is installed has its bytecode; without it every start is a first one


def seconds(command: Sequence[str], rounds: int = ROUNDS) -> float:
    """Median wall time of a whole process, after one warm-up."""
    found = []
    for i in range(rounds + 1):
        start = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if done.returncode not in (0,):
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr.decode()}")
        if i:
            found.append(time.perf_counter() - start)
    return statistics.median(found)


def processes() -> list[tuple[str, str, str, str]]:
    """Start-up figures: (what, measured, against, promise)."""
    python = sys.executable
    bare = seconds([python, "-c", "pass"])
    imported = seconds([python, "-c", "import chaoskit"])
    helped = seconds([python, "-m", "chaoskit", "--help"])
    experiment = "experiments/url-shortener/database-slow.yaml"
    validated = seconds([python, "-m", "chaoskit", "validate", experiment])
    return [
        ("python -c pass", f"{bare:.3f} s", "-", "the floor"),
        ("import chaoskit, on top", f"{imported - bare:.3f} s", f"{imported / bare:.1f} x floor", "< 0.05 s"),
        ("chaoskit --help", f"{helped:.3f} s", f"{helped / bare:.1f} x floor", "< 0.5 s"),
        ("chaoskit validate", f"{validated:.3f} s", f"{validated / bare:.1f} x floor", "< 0.5 s"),
    ]


def others() -> list[tuple[str, str, str, str]]:
    """Rows of the sibling scripts: each has `rows() -> list[tuple[what, measured, against, promise]]`."""
    found: list[tuple[str, str, str, str]] = []
    sys.path.insert(0, str(HERE / "checks"))
    for path in sorted([*HERE.glob("*.py"), *HERE.glob("checks/*.py")]):
        if path.name == "run.py":
            continue
        spec = importlib.util.spec_from_file_location(f"benchmarks_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up there
        spec.loader.exec_module(module)
        if not hasattr(module, "rows"):
            continue  # what the others share
        print(f"… {path.stem}", file=sys.stderr, flush=True)
        found += module.rows()
    return found


def kept(measured: str, against: str, promise: str) -> bool | None:
    """Whether a row keeps its promise: each limit beside the first figure of its unit, a ratio beside the last one.

    None where that cannot be told: something else is promised, or there is no such figure (no rival, say).
    """
    answers = []
    for limit in promise.split(", "):
        found = _LIMIT.match(limit)
        unit = found and _UNITS.get(found[3])
        if not found or not unit:
            answers.append(measured.startswith(f"{limit} ") if limit.isdigit() else None)
            continue
        figures = [one for one in _FIGURE.findall(f"{measured} ; {against}") if _UNITS[one[1]][0] == unit[0]]
        if not figures:
            answers.append(None)
            continue
        number, name = figures[-1 if unit[0] == "ratio" else 0]
        value = float(number.replace(",", "")) * _UNITS[name][1]
        answers.append(_COMPARED[found[1]](value, float(found[2]) * unit[1]))
    return False if False in answers else None if None in answers else True


def main() -> None:
    print("… processes", file=sys.stderr, flush=True)
    rows = [*processes(), *others()]
    answers = [None if row[3] in _NOTHING else kept(*row[1:]) for row in rows]
    told = [
        "" if row[3] in _NOTHING else {True: "kept", False: "MISSED", None: "?"}[answer]
        for row, answer in zip(rows, answers, strict=True)
    ]
    table = [("what", "measured", "against", "promise", "")]
    table += [(*row, word) for row, word in zip(rows, told, strict=True)]
    widths = [max(len(row[i]) for row in table) for i in range(5)]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    print(
        f"\npromises kept: {told.count('kept')}, missed: {told.count('MISSED')}, to be judged by eye: {told.count('?')}"
    )
    for row, word in zip(rows, told, strict=True):
        if word not in ("", "kept"):
            print(f"{word}: {row[0]}: {row[1]} ({row[2]}), promised {row[3]}")


if __name__ == "__main__":
    main()
