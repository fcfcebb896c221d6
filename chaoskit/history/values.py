"""Values of a history: nested data that can be compared and hashed, each with one number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["Keyword", "Map", "Values", "frozen", "identity", "shown"]


_SIMPLE = frozenset({int, str, type(None)})  # most of what is inside; asked first, because it is quick


class Keyword(str):
    """An EDN keyword without its colon (`:append` is Keyword("append")); equal to the text, so that JSON agrees."""

    __slots__ = ()


class Map(Mapping[Any, Any]):
    """A mapping that can be hashed; equal to any mapping with the same entries."""

    __slots__ = ("_entries", "_hash")

    def __init__(self, entries: Mapping[Any, Any] | Iterable[tuple[Any, Any]] = ()) -> None:
        self._entries = dict(entries)
        self._hash: int | None = None

    def __getitem__(self, key: Any) -> Any:
        return self._entries[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self._entries.items()))
        return self._hash

    def __repr__(self) -> str:
        return repr(self._entries)


def frozen(value: Any) -> Any:
    """Lists as tuples, sets as frozensets, dicts as Map, all the way down; everything else as it is."""
    if type(value) in _SIMPLE:
        return value
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    if isinstance(value, dict):
        return Map((frozen(key), frozen(inner)) for key, inner in value.items())
    if isinstance(value, set | frozenset):
        return frozenset(map(frozen, value))
    return value


def shown(value: Any) -> str:
    """A value as people read it: nil, true, 5, x, [1 2 3], {1 2}, {a: 1}. Not for machines."""
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{' '.join(map(shown, value))}]"
    if isinstance(value, frozenset):
        return f"{{{' '.join(sorted(map(shown, value)))}}}"
    if isinstance(value, Map):
        return f"{{{', '.join(f'{shown(key)}: {shown(inner)}' for key, inner in value.items())}}}"
    return str(value)


class Values:
    """Numbers values in the order of their first appearance. 1, 1.0 and True are three values; nil has no number.

    Python calls 1, 1.0 and True equal and gives them one hash; a register that answers true for 1 would be innocent.
    """

    def __init__(self) -> None:
        self.all: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def number(self, value: Any, *, plain: bool = False) -> int:
        """The id of a value (frozen data), NONE (-1) for None.

        Args:
            plain: it is known to be made of int, str, nil, tuples and frozensets alone; quicker.
        """
        if value is None:
            return -1
        key = value if plain or type(value) is int else identity(value)
        found = self._numbers.setdefault(key, len(self.all))
        if found == len(self.all):
            self.all.append(value)
        return found

    def integers(self, values: Sequence[int]) -> list[int]:
        """The ids of many integers (and neither True nor False); quicker."""
        numbers = self._numbers
        fresh = [one for one in dict.fromkeys(values) if one not in numbers]
        numbers.update(zip(fresh, range(len(self.all), len(self.all) + len(fresh)), strict=True))
        self.all += fresh
        return list(map(numbers.__getitem__, values))


def identity(value: Any) -> Any:
    """What stands for a value in sets and dictionaries, where 1, 1.0 and True must not be one; ints and texts as is."""
    return value if type(value) is int or isinstance(value, str) else _key(value)


def _key(value: Any) -> Any:
    if type(value) in _SIMPLE:
        return value
    # Plain data (no bool, float or map, all the way down) is its own key; other keys hold a type, as no data does.
    if isinstance(value, bool | float):
        return (type(value), value)
    if isinstance(value, tuple):
        keys = tuple(map(_key, value))
        return value if keys == value else ("()", keys)
    if isinstance(value, frozenset):
        inner = frozenset(map(_key, value))
        return value if inner == value else ("{}", inner)
    if isinstance(value, Map):
        return (Map, frozenset((_key(key), _key(inner)) for key, inner in value.items()))
    return value
