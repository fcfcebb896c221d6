"""Opening a history: packed or not, from a pipe, in a format told or found out, and everything that is none."""

from __future__ import annotations

import gc
import gzip
import io
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from chaoskit.errors import HistoryError, UsageError
from chaoskit.history.interchange.open import FolderFormat, Format, detect, open_history
from chaoskit.registry import load, names

EDN = b"{:type :invoke, :f :read, :process 0, :time 1}\n{:type :ok, :f :read, :value 5, :process 0, :time 2}\n"
LINES = b'{"process": 0, "f": "read", "outcome": "ok", "result": 5, "began_ns": 1, "ended_ns": 2}\n'
OURS = {"jepsen": EDN, "jsonl": LINES}


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def make(content: bytes, name: str = "history") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return make


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", OURS)
def test_found_out_by_content_whatever_it_is_called(name: str, packed: bool, file: Callable[..., Path]) -> None:
    content = gzip.compress(OURS[name]) if packed else OURS[name]
    for path in (file(content, "history.txt"), file(content, "x.gz")):
        operations, format = open_history(path)
        assert format == name
        assert operations.source == str(path)
        assert len(operations) == 1


def test_every_format_of_ours_keeps_its_promises() -> None:
    for name in names("format"):
        format = load("format", name)
        assert isinstance(format, Format)
        assert format.name == name
        assert not format.matches(b"no history at all", "")
        assert not format.matches(b"", "")
    for name, content in OURS.items():
        assert detect(content, "", "x").name == name


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input_comes_in_pieces(packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    content = gzip.compress(EDN) if packed else EDN
    reading, writing = os.pipe()

    def trickle() -> None:
        with os.fdopen(writing, "wb", buffering=0) as out:
            for at in range(0, len(content), 3):
                out.write(content[at : at + 3])

    thread = threading.Thread(target=trickle)
    thread.start()
    with os.fdopen(reading, "r") as text:
        monkeypatch.setattr(sys, "stdin", text)
        operations, format = open_history("-")
    thread.join()
    assert (len(operations), format, operations.source) == (1, "jepsen", "standard input")


def test_a_byte_order_mark_is_no_part_of_a_history(file: Callable[..., Path]) -> None:
    for name in OURS:
        for format in ("auto", name):
            assert open_history(file(b"\xef\xbb\xbf" + OURS[name]), format)[1] == name


def test_the_folder_of_a_jepsen_test(tmp_path: Path) -> None:
    (tmp_path / "history.edn").write_bytes(EDN)
    for format in ("auto", "jepsen"):
        operations, found = open_history(tmp_path, format)
        assert (len(operations), found) == (1, "jepsen")
        assert operations.source == str(tmp_path / "history.edn")
    assert isinstance(load("format", "jepsen"), FolderFormat)
    with pytest.raises(HistoryError, match="holds no jsonl history"):
        open_history(tmp_path, "jsonl")


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="folder that holds no history"):
        open_history(tmp_path)


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (b"", 0, "is empty"),
        (b" \n\n", 0, "is empty"),
        (b"\n\nGET / HTTP/1.1\n", 3, "begins with 'GET / HTTP/1.1', which is the beginning of no known format"),
        (b"\x7fELF\x00\x00", 1, "begins with '\\\\x7fELF"),
        (b"[1, 2]", 1, "begins with '[1, 2]'"),
        (b'{"a": 1}', 1, "begins with"),
        (gzip.compress(b"", mtime=0), 0, "is empty"),
        (b"; nothing\n; but comments\n", 0, "holds no events: an empty history"),
        (b"[ ]\n", 0, "holds no events: an empty history"),
        (b"[", 1, "the history ends without its ]"),
        (gzip.compress(EDN * 9, mtime=0)[:-12], 0, "packed with gzip, and broken"),
        (gzip.compress(EDN, mtime=0)[:15], 0, "packed with gzip, and broken"),
        (b"\x1f\x8bnonsense, and not gzip at all", 0, "packed with gzip, and broken"),
    ],
)
def test_what_is_no_history_is_said(content: bytes, line: int, what: str, file: Callable[..., Path]) -> None:
    path = file(content)
    with pytest.raises(HistoryError) as caught:
        open_history(path)
    assert what in caught.value.what.replace("\\x", "\\\\x")
    assert (caught.value.file, caught.value.line) == (str(path), line)


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (b"{:type :invoke, :f :read, :process 0, :\xe4 1}\n", 1, ":\\xe4 is not UTF-8"),
        (b"#jepsen.history.Op{:type :invoke, :f 'read, :process 0}", 1, "'read is nothing that EDN has"),
        (b'[{"process": 0, "value": {"from": 1}, "type": "invoke", "f": "x"}, {"ty', 1, "no JSON: unterminated string"),
    ],
)
def test_what_is_broken_at_its_beginning_is_still_known(
    content: bytes, line: int, what: str, file: Callable[..., Path]
) -> None:
    with pytest.raises(HistoryError) as caught:
        open_history(file(content))
    assert (caught.value.what, caught.value.line) == (what, line)


def test_what_is_more_than_the_memory_holds(file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def read(stream: object, source: str) -> None:
        raise MemoryError

    monkeypatch.setattr(load("format", "jsonl"), "read", read, raising=False)
    with pytest.raises(HistoryError, match="more than fits into the memory"):
        open_history(file(LINES))


def test_no_name_and_no_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HistoryError, match="an empty name"):
        open_history("")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(HistoryError, match="standard input: cannot be read: it is closed"):
        open_history("-")


def test_formats_that_exist_are_told(file: Callable[..., Path]) -> None:
    with pytest.raises(HistoryError) as caught:
        open_history(file(b"what?"))
    assert all(name in (caught.value.hint or "") for name in names("format"))
    with pytest.raises(UsageError, match="no format called 'jespen'"):
        open_history(file(EDN), "jespen")


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="cannot be read: No such file"):
        open_history(tmp_path / "missing")
    with pytest.raises(HistoryError, match="cannot be read: Not a directory"):
        open_history(tmp_path / "missing" / ".." / __file__ / "x")


def test_the_wrong_format_is_an_error_with_a_place(file: Callable[..., Path]) -> None:
    with pytest.raises(HistoryError, match=":1: "):
        open_history(file(EDN), "jsonl")
    with pytest.raises(HistoryError, match=":1: "):
        open_history(file(LINES), "jepsen")


@pytest.mark.parametrize("packed", [False, True])
def test_progress_counts_bytes_of_the_file_as_it_lies_there(packed: bool, file: Callable[..., Path]) -> None:
    content = b"".join(LINES.replace(b'"process": 0', b'"process": %d' % n) for n in range(60_000))
    path = file(gzip.compress(content, 1) if packed else content)
    told: list[tuple[int, int]] = []
    open_history(path, progress=lambda done, of_all: told.append((done, of_all)))
    size = path.stat().st_size
    assert {of_all for _, of_all in told} == {size}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == size
    assert packed or len(told) > 1


def test_the_collector_of_garbage_is_back_afterwards(file: Callable[..., Path]) -> None:
    assert gc.isenabled()
    open_history(file(EDN))
    with pytest.raises(HistoryError):
        open_history(file(b"{:type :ok}"))
    assert gc.isenabled()


@pytest.mark.parametrize("module", ["jepsen", "lines_reading"])
def test_a_line_without_end_does_not_fill_the_memory(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"chaoskit.history.interchange.{module}._LONGEST", 1 << 20)
    monkeypatch.setattr("chaoskit.history.interchange.jepsen._PIECE", 1 << 18)

    class Zeros(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            Zeros.given += len(buffer)
            assert Zeros.given < 1 << 24
            buffer[:] = bytes(len(buffer))
            return len(buffer)

    with pytest.raises(HistoryError, match=r"x:1: .*of more than 1 MB"):
        load("format", "jepsen" if module == "jepsen" else "jsonl").read(io.BufferedReader(Zeros()), "x")


def test_a_huge_key_is_a_key(file: Callable[..., Path]) -> None:
    key = "k" * 5_000_000
    edn = f'{{:type :invoke, :f :read, :value ["{key}" nil], :process 0}}\n'
    operations, _ = open_history(file(edn.encode()), "auto")
    assert operations.values == [(key, None)]
    lines = LINES.replace(b'"f"', f'"key": "{key}", "f"'.encode())
    assert open_history(file(lines))[0].values[0] == key


def test_a_stream_is_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A history that is ten times as large as what is held of its text at one time."""
    from chaoskit.history.interchange import jepsen

    monkeypatch.setattr(jepsen, "_PIECE", 4096)
    asked: list[int] = []

    class Stream(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(size or 0)
            return super().read(size)

    content = b"".join(EDN.replace(b":process 0", b":process %d" % n) for n in range(500))
    assert len(load("format", "jepsen").read(Stream(content), "x")) == 500
    assert set(asked) == {4096}
    assert len(asked) > 10


@pytest.mark.parametrize(("language", "format", "count"), [("clojure", "jepsen", 1), ("json", "jsonl", 3)])
def test_the_examples_of_the_documentation_are_histories(
    language: str, format: str, count: int, file: Callable[..., Path]
) -> None:
    page = (Path(__file__).resolve().parents[4] / "docs/histories.md").read_text()
    example = page.split(f"```{language}\n")[1].split("```")[0]
    operations, found = open_history(file(example.encode()))
    assert found == format
    assert len(operations) == count
    assert operations.marks
