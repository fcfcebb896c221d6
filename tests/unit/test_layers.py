"""Walks the imports: a module imports from its own layer or from lower ones, and nothing heavy at import time."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "chaoskit"
# From the base up, as in docs/design.md; the first name that matches decides.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "units", "clock", "data", "files", "linux", "registry"),
    ("history",),
    ("spec",),
    ("stack",),
    ("contracts",),
    ("store",),
    ("probes",),
    ("safety",),
    ("toxiproxy",),
    ("runtimes",),
    ("faults",),
    ("traffic",),
    ("checks",),
    ("plan", "lint", "plan_text"),
    ("engine",),
    ("hand",),
    ("analysis",),
    ("report",),
    ("api", "histories", "stored"),
    ("cli", "__main__"),
)
HEAVY = {"pandas", "plotly", "docker", "kubernetes", "pyarrow", "httpx", "pydantic", "rich", "jinja2", "typer", "numpy"}


def layer_of(module: str) -> int | None:
    part = module.split(".")[1] if module.startswith("chaoskit.") else None
    if part is None:
        return None
    for number, names in enumerate(LAYERS):
        if part in names:
            return number
    pytest.fail(f"{module} is in no layer of docs/design.md")


def imports_of(path: Path) -> list[tuple[int, str]]:
    found = []
    tree = ast.parse(path.read_text())
    guarded: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            guarded.update(id(inner) for inner in ast.walk(node))
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            found.append((node.lineno, node.module))
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names if node.module == "chaoskit"]
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downward(path: Path) -> None:
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    if module in ("chaoskit.__init__",):
        return
    own = layer_of(module)
    assert own is not None
    for line, name in imports_of(path):
        if name == "chaoskit" or not name.startswith("chaoskit"):
            continue
        if name.startswith("chaoskit.") and not name.split(".")[1].startswith("_"):
            other = layer_of(name)
            assert other is not None
            assert other <= own, f"{path}:{line}: {module} (layer {own + 1}) imports {name} (layer {other + 1})"


def test_import_of_the_package_is_light() -> None:
    code = "import sys, chaoskit; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & HEAVY


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_outgrows_its_noun(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= 450, f"{path} has {lines} lines: two files"
