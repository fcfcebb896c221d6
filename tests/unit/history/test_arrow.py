"""Arrow's columns from their buffers: the same as Arrow's own conversions, whatever is null, sliced or in pieces."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit.history.arrow import flags, integers, present, texts

_PIECES = st.lists(st.lists(st.one_of(st.none(), st.integers(-(1 << 31), (1 << 31) - 1)), max_size=20), max_size=4)


@given(pieces=_PIECES, skipped=st.integers(0, 9), kind=st.sampled_from([pa.int32(), pa.int64()]))
@settings(max_examples=150, deadline=None)
def test_integers(pieces: list[list[int | None]], skipped: int, kind: pa.DataType) -> None:
    column = pa.chunked_array([pa.array(piece, kind) for piece in pieces], kind).slice(skipped)
    assert integers(column, -7).tolist() == [-7 if one is None else one for one in column.to_pylist()]
    for chunk in column.chunks:
        assert integers(chunk, -7).tolist() == [-7 if one is None else one for one in chunk.to_pylist()]
        assert present(chunk).tolist() == [one is not None for one in chunk.to_pylist()]


@given(
    pieces=st.lists(st.lists(st.one_of(st.none(), st.booleans()), max_size=20), max_size=3), skipped=st.integers(0, 9)
)
@settings(max_examples=100, deadline=None)
def test_flags(pieces: list[list[bool | None]], skipped: int) -> None:
    column = pa.chunked_array([pa.array(piece, pa.bool_()) for piece in pieces], pa.bool_()).slice(skipped)
    assert flags(column).tolist() == [bool(one) for one in column.to_pylist()]


@given(words=st.lists(st.text(max_size=5), max_size=20), skipped=st.integers(0, 9), large=st.booleans())
@settings(max_examples=150, deadline=None)
def test_texts(words: list[str], skipped: int, large: bool) -> None:
    array = pa.array(words, pa.large_string() if large else pa.string()).slice(skipped)
    assert texts(array) == words[skipped:]


def test_what_is_no_utf8_is_said() -> None:
    array = pa.StringArray.from_buffers(1, pa.array([0, 2], pa.int32()).buffers()[1], pa.py_buffer(b"\xff\xff"))
    with pytest.raises(UnicodeDecodeError):
        texts(array)


def test_pandas_is_not_loaded() -> None:
    code = (
        "import sys, pyarrow as pa; from chaoskit.history.arrow import integers, texts\n"
        "coded = pa.concat_arrays([pa.nulls(3, pa.string())]).dictionary_encode()\n"
        "assert integers(coded.indices, -1).tolist() == [-1] * 3 and texts(coded.dictionary) == []\n"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
