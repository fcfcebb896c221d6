"""The page of `chaoskit check`: all that is known is on it, and nothing of a history acts in it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from chaoskit.checks.files import FileCheck, check_file
from chaoskit.checks.result import Anomaly, Options, Result
from chaoskit.errors import HistoryError
from chaoskit.report.check_page import page

EVIL = "</svg></style><script>document.title='owned'</script><img src=https://example.org/x onerror=alert(1)>\u202e\x00"


def lines(path: Path, *operations: dict[str, Any]) -> str:
    path.write_text("\n".join(map(json.dumps, operations)))
    return str(path)


def write(process: int, value: Any, began: int, ended: int | None = None, **more: Any) -> dict[str, Any]:
    more = {"process": process, "f": "write", "key": "x", "value": value, "began_ns": began, **more}
    return {**more, "outcome": "info"} if ended is None else {"outcome": "ok", "ended_ns": ended, **more}


def read(process: int, result: Any, began: int, ended: int, **more: Any) -> dict[str, Any]:
    asked = {"process": process, "f": "read", "key": "x", "result": result, "outcome": "ok"}
    return {**asked, "began_ns": began, "ended_ns": ended, **more}


@pytest.fixture
def stale(tmp_path: Path) -> FileCheck:
    second = 1_000_000_000
    return check_file(
        lines(
            tmp_path / "stale.jsonl",
            {"schema_version": 1, "marks": [{"label": "n1 is cut off", "rank": 2, "time_ns": 2 * second}]},
            write(0, "a", second, second + 5_000_000),
            write(1, "b", 3 * second, 3 * second + 5_000_000),
            write(4, "c", 3 * second),
            read(2, "a", 4 * second, 4 * second + 2_000_000, node="n1"),
        ),
        "register",
    )


class Page(HTMLParser):
    """Elements and texts, as a browser takes them apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split()).replace("\u00a0", " ")


def harmless(found: Page) -> None:
    """No script, nothing that is fetched, no handler, no id twice."""
    tags = [tag for tag, _ in found.elements]
    assert "script" not in tags and "img" not in tags and tags.count("style") == 1
    for _, attributes in found.elements:
        assert not [name for name in attributes if name.startswith("on")]
        assert (attributes.get("href") or "#").startswith(("#", "data:,"))
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_a_refutation_is_told_and_drawn(stale: FileCheck) -> None:
    text = page([stale], "chaoskit check stale.jsonl --model register --html page.html")
    found = Page(text)
    harmless(found)
    assert text.count('<svg class="pic"') == 2  # wide and narrow
    for words in (
        "1 stale-read in 4 operations.",
        "register, linearizable",
        "stale-read 1 time, refutes linearizable",
        "operation 3 (process 2: read x → a) answered a, although operation 1 (process 1: write x b) had been",
        "process 2 → n1: read x → a",
        "n1 is cut off 2.000 s",
        "In the file: lines 2, 3, 5.",
        "Weakest level refuted: linearizable.",
        "writes of unknown outcome that no answer shows, which may not have happened: 1",
        "chaoskit check stale.jsonl --model register --html page.html",
    ):
        assert words in found.text, words


def test_operations_are_numbered_as_in_the_file(stale: FileCheck) -> None:
    rows = re.findall(r'<tr><td class="num">(\d+)</td><td>([^<]*)</td>', page([stale], ""))
    assert rows == [("0", "process 0"), ("1", "process 1"), ("3", "process 2 → n1")]


def test_what_is_held_says_what_it_would_have_shown(tmp_path: Path) -> None:
    operations = [
        one for n in range(30) for one in (write(0, n, 10 * n, 10 * n + 3), read(1, n, 10 * n + 4, 10 * n + 8))
    ]
    found = Page(page([check_file(lines(tmp_path / "h.jsonl", *operations), "register")], "c"))
    harmless(found)
    assert "Legal: some order of its 60 operations explains every answer." in found.text
    assert "Strongest level not refuted: linearizable." in found.text
    assert "Bug places would have shown it share" in found.text


def test_without_times_none_are_written(tmp_path: Path) -> None:
    def bare(one: dict[str, Any], at: int) -> dict[str, Any]:
        return {k: v for k, v in one.items() if not k.endswith("_ns")} | {"invoked": at, "completed": at + 1}

    given = [bare(write(0, 1, 0, 0), 0), bare(write(0, 2, 0, 0), 2), bare(read(1, 1, 0, 0), 4)]
    found = Page(page([check_file(lines(tmp_path / "h.jsonl", *given), "register")], "c"))
    assert "The order is exact; the history has no times." in found.text
    assert not re.search(r"\d\.\d+ s\b", found.text.replace("ms", ""))


def test_several_files_and_one_that_cannot_be_read(stale: FileCheck) -> None:
    error = HistoryError("b.edn", 7, "{ is never closed", hint="expected one map per event")
    found = Page(page([stale, FileCheck("b.edn", error=error)], "c"))
    harmless(found)
    for words in (
        "2 histories",
        "Of 2 files: 1 refuted and 1 inconclusive.",
        "b.edn:7: { is never closed",
        "not judged",
    ):
        assert words in found.text


def test_no_model_says_what_could_be_checked(tmp_path: Path) -> None:
    found = Page(page([check_file(lines(tmp_path / "h.jsonl", write(0, 1, 0, 1), read(1, 1, 2, 3)))], "c"))
    assert "nothing was checked" in found.text.lower() and "--model register" in found.text


def test_nothing_of_a_history_acts_in_the_page(tmp_path: Path) -> None:
    path = tmp_path / "<b>x&y.jsonl"
    given = [write(0, EVIL, 0, 1, key=EVIL), read(1, EVIL + "?", 2, 3, key=EVIL, node=EVIL)]
    head = {"schema_version": 1, "marks": [{"label": EVIL, "rank": 2, "time_ns": 1}], "notes": [EVIL]}
    text = page([check_file(lines(path, head, *given), "register")], f"chaoskit check {EVIL}")
    found = Page(text)
    harmless(found)
    assert "document.title='owned'" in found.text  # shown, not run
    assert "\u202e" not in text and "\x00" not in text
    policy = next(a["content"] for tag, a in found.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and "script-src" not in policy and policy.startswith("default-src 'none'")


def test_a_large_witness_is_cut_and_says_so(stale: FileCheck, tmp_path: Path) -> None:
    operations = [write(n, n, 10 * n, 10 * n + 5) for n in range(40)]
    given = check_file(lines(tmp_path / "h.jsonl", *operations), "register", Options())
    assert given.checked is not None
    everything = Anomaly("not-linearizable", "linearizable", 1, tuple(range(40)), "no order explains them", large=True)
    result = Result("register", "linearizable", "", "refuted", 40, 40, (everything,))
    object.__setattr__(given.checked, "result", result)
    found = Page(page([given], "c"))
    assert "30 more operations belong to it." in found.text
    harmless(found)
