"""Arrow's columns as numpy arrays and lists, from their buffers.

Arrow's own conversions load pandas first, which takes longer than to read a million operations. Source: Arrow Columnar
Format, the layouts of integers, bits, and variable-size text.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow

__all__ = ["flags", "integers", "present", "texts"]


def integers(column: pyarrow.ChunkedArray | pyarrow.Array, absent: int) -> NDArray[Any]:
    """A column of integers, or the indices of a dictionary.

    Args:
        absent: what stands for null.
    """
    found = [np.empty(0, str(column.type))]
    for chunk in getattr(column, "chunks", [column]):
        buffer = chunk.buffers()[1]
        own = np.frombuffer(buffer, str(chunk.type))[chunk.offset :][: len(chunk)] if buffer else found[0]
        found.append(np.where(present(chunk), own, own.dtype.type(absent)) if chunk.null_count else own)
    return found[1] if len(found) == 2 else np.concatenate(found)


def present(chunk: pyarrow.Array) -> NDArray[np.bool_]:
    """Mask of what is not null."""
    return _bits(chunk, 0) if chunk.null_count else np.ones(len(chunk), np.bool_)


def flags(column: pyarrow.ChunkedArray) -> NDArray[np.bool_]:
    """A column of true and false; null is false."""
    return np.concatenate([np.empty(0, np.bool_), *(_bits(chunk, 1) & present(chunk) for chunk in column.chunks)])


def texts(array: pyarrow.Array) -> list[str]:
    """Strings (or large strings), none of them null."""
    _, places, content = array.buffers()
    if not len(array):
        return []
    kind = np.int64 if str(array.type).startswith("large") else np.int32
    bounds = np.frombuffer(places, kind)[array.offset :][: len(array) + 1].tolist()
    raw = content.to_pybytes() if content else b""
    if raw.isascii():
        text = raw.decode()
        return [text[begin:end] for begin, end in pairwise(bounds)]
    return [raw[begin:end].decode() for begin, end in pairwise(bounds)]


def _bits(chunk: pyarrow.Array, buffer: int) -> NDArray[np.bool_]:
    packed = np.frombuffer(chunk.buffers()[buffer], np.uint8)
    return np.unpackbits(packed, bitorder="little")[chunk.offset :][: len(chunk)].view(np.bool_)
