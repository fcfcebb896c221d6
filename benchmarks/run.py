"""`make bench`: every figure that the project promises, measured side by side, printed as one table.

Absolute times depend on the machine; each line also gives the ratio to a rival or a floor measured in the same run.
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ROUNDS = 7
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


def main() -> None:
    print("… processes", file=sys.stderr, flush=True)
    table = [("what", "measured", "against", "promise"), *processes(), *others()]
    widths = [max(len(row[i]) for row in table) for i in range(4)]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
