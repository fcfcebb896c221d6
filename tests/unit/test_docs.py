"""The documents name what is there: every module, every exit code, every file of a run, every link target."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chaoskit.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*(ROOT / "docs").glob("*.md"), *(ROOT / "targets").glob("*/README.md"), ROOT / "README.md"])


def test_every_module_is_in_the_list() -> None:
    listed = set(re.findall(r"`(chaoskit/[\w/]+\.py)`", (ROOT / "docs/whats-here.md").read_text()))
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "chaoskit").rglob("*.py")}
    assert listed == there


def test_every_exit_code_is_documented() -> None:
    text = (ROOT / "docs/cli.md").read_text()
    for code in ExitCode:
        assert re.search(rf"^\|.*\b{int(code)}\b.*\|", text, re.MULTILINE), code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
        assert target.startswith(("http://", "https://")) or (page.parent / target).exists(), target


def test_every_command_is_documented() -> None:
    from chaoskit.cli.app import app

    text = (ROOT / "docs/cli.md").read_text()
    for command in app.registered_commands:
        name = command.name or (command.callback.__name__ if command.callback else "")
        assert command.hidden or f"`chaoskit {name}" in text, name


def test_the_schema_that_editors_use_is_the_one_that_is_printed() -> None:
    import json

    from chaoskit.spec.schema import schema

    # After a change: chaoskit schema > docs/experiment-v1.json
    assert json.loads((ROOT / "docs/experiment-v1.json").read_text()) == schema()
