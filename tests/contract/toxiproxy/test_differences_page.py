"""The table of differences in docs/toxiproxy.md is what the tests are marked with.

    CHAOSKIT_WRITE_DOCS=1 python -m pytest tests/contract/toxiproxy/test_differences_page.py

writes it anew.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs" / "toxiproxy.md"
BEGIN, END = "<!-- differences: written by the tests -->\n", "<!-- end of differences -->\n"


def marks() -> Iterator[dict[str, str]]:
    """The arguments of every `pytest.mark.differs(...)` of this folder, in the order of the files."""
    for file in sorted(HERE.glob("test_*.py")):
        calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
        for call in sorted(calls, key=lambda call: call.lineno):
            if ast.unparse(call.func) == "pytest.mark.differs":
                named = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
                yield {"what": ast.literal_eval(call.args[0]), **named}


def table() -> str:
    rows = [f"| {mark['what']} | {mark['original']} | {mark['embedded']} | {mark['why']} |\n" for mark in marks()]
    return "| what | the original | the embedded server | why |\n|---|---|---|---|\n" + "".join(rows)


def test_the_page_shows_the_differences_that_the_tests_show():
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = before + BEGIN + table() + END + after
    if os.environ.get("CHAOSKIT_WRITE_DOCS"):
        PAGE.write_text(wanted)
    assert PAGE.read_text() == wanted, "docs/toxiproxy.md is stale: run this test with CHAOSKIT_WRITE_DOCS=1"


def test_every_difference_is_told_whole():
    found = list(marks())
    assert len(found) >= 20
    for mark in found:
        assert set(mark) == {"what", "original", "embedded", "why"}, mark
        assert all(text and "|" not in text and "\n" not in text for text in mark.values()), mark
    assert len({mark["what"] for mark in found}) == len(found)
