"""What a cell takes beside its stated phases (ready, canaries, healing, final reads), on the smallest real stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENT = "tests/e2e/tiny/cache-slow.yaml"


def rows() -> list[tuple[str, str, str, str]]:
    """(what, measured, against, promise)."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "chaoskit", "run", "--json", "--runs", folder, EXPERIMENT],
            cwd=ROOT, env={**os.environ, "CHAOSKIT_STATE": f"{folder}/state"}, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        run = json.loads(done.stdout)["runs"][0]
        cell = json.loads((Path(run["directory"]) / "analysis.json").read_text())["cells"][0]
        plan = json.loads((Path(run["directory"]) / "plan.json").read_text())["experiment"]
    stated = plan["warm_up"] + plan["duration"] + plan["settle"]
    return [("a cell beside its phases", f"{cell['overhead']:.2f} s", f"{stated:.1f} s stated", "<= 5 s")]


if __name__ == "__main__":
    print(rows())
