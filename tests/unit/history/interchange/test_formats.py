"""What holds for every format: it is documented, with what it cannot carry, and refuses what is none of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from histories.files import read

from chaoskit.errors import HistoryError
from chaoskit.registry import load, names

PAGE = Path(__file__).parents[4] / "docs" / "histories.md"
GARBAGE = (b"\x00" * 64, b"\xff\xfe{\x00", b"hello\n", b"{}", b"[1, 2", b"PAR1", b"{" * 5000)


@pytest.mark.parametrize("name", names("format"))
def test_the_page_says_what_is_lost(name: str) -> None:
    lost = load("format", name).cannot_carry
    assert f"| `{name}` | {'; '.join(lost) or 'all is carried'} |\n" in PAGE.read_text()


@pytest.mark.parametrize("name", names("format"))
@pytest.mark.parametrize("garbage", GARBAGE)
def test_what_is_nothing_is_an_error_of_the_file(name: str, garbage: bytes) -> None:
    with pytest.raises(HistoryError):
        read(load("format", name), garbage)
