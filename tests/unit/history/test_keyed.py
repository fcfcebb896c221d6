"""Keys in values: `[key value]` is known by what was asked, and a set that is read as `[1 2]` is no key and value."""

from __future__ import annotations

import numpy as np
import pytest
from histories.files import read

from chaoskit.errors import HistoryError
from chaoskit.history.interchange.jepsen import FORMAT
from chaoskit.history.keyed import looks_keyed, split_keys
from chaoskit.history.operation import NONE
from chaoskit.history.operations import Operations


def history(*rows: str) -> Operations:
    """Of `f asked -> answered`, one after the other."""
    lines = []
    for process, row in enumerate(rows):
        f, rest = row.split(" ", 1)
        asked, _, answered = rest.partition(" -> ")
        lines.append(f"{{:type :invoke, :f :{f}, :value {asked}, :process {process}}}")
        if answered:
            lines.append(f"{{:type :ok, :f :{f}, :value {answered}, :process {process}}}")
    return read(FORMAT, "\n".join(lines))


KEYED = (
    "write [:x 1] -> [:x 1]",
    "read [:x nil] -> [:x 1]",
    "cas [:y [1 2]]",
    "read [:y nil] -> [:y nil]",
    "write [3 nil]",
)


@pytest.mark.parametrize(
    ("rows", "keyed"),
    [
        (KEYED, True),
        (("read [:x nil]",), True),
        (("acquire [1 nil] -> [1 nil]", "release [1 nil]"), True),
        # The trap: sets and queues whose contents look like a key and a value.
        (("add 1 -> 1", "add 2 -> 2", "read nil -> [1 2]"), False),
        (("add [1 2] -> [1 2]", "read nil -> [[1 2] [3 4]]"), False),
        (("add [1 2]", "read nil"), False),
        (("dequeue nil -> [1 nil]",), False),
        # A transaction of two reads, a compare-and-set, and one that sets nil.
        (("txn [[:r 1 nil] [:r 2 nil]] -> [[:r 1 5] [:r 2 6]]",), False),
        (("cas [1 2]", "write 1"), False),
        (("cas [1 nil] -> [1 nil]",), False),
        # Nothing shows what they are: only the user knows.
        (("write [1 2] -> [1 2]",), False),
        # Answers of another key than was asked, reads that ask for something, one value without a key.
        (("read [:x nil] -> [:y 1]",), False),
        (("read [:x nil] -> 1",), False),
        (("read [:x nil]", "read [:x 5]"), False),
        (("read [:x nil]", "write 5"), False),
        (("read [:x nil]", "write [:x 5 6]"), False),
        (("read [nil nil]",), False),
    ],
)
def test_known_by_what_was_asked(rows: tuple[str, ...], keyed: bool) -> None:
    assert looks_keyed(history(*rows)) is keyed


def test_split() -> None:
    found = split_keys(history(*KEYED))
    assert [found.of_value(n) for n in found.key] == ["x", "x", "y", "y", 3]
    assert [found.of_value(n) for n in found.value] == [1, None, (1, 2), None, None]
    assert [found.of_value(n) for n in found.result] == [1, 1, None, None, None]
    assert found.key[0] == found.key[1] != found.key[2]
    assert not looks_keyed(found)


def test_equal_looking_keys_are_different_keys() -> None:
    found = split_keys(history("read [1 nil]", "read [1.0 nil]", "read [true nil]", "read [1 nil]"))
    assert found.key.tolist()[:3] == sorted(set(found.key.tolist()))
    assert found.key[0] == found.key[3]
    assert not looks_keyed(history("read [1 nil] -> [true 5]"))


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        (("read [:x nil]", "write 5"), "file:2: expected [key value] in operation 1 (write), found 5"),
        (("read nil -> [1 2]",), "file:1: expected [key value] in operation 0 (read), found nil"),
        (("read [:x nil] -> [:y 1]",), "with the key that was asked in operation 0 (read), found [y 1]"),
    ],
)
def test_what_has_no_key_is_said(rows: tuple[str, ...], what: str) -> None:
    with pytest.raises(HistoryError) as caught:
        split_keys(history(*rows))
    assert what in str(caught.value)


def test_a_history_that_has_keys_is_not_split_again() -> None:
    with pytest.raises(HistoryError, match="keys beside its values already"):
        split_keys(split_keys(history(*KEYED)))


def test_an_empty_history_shows_nothing() -> None:
    assert not looks_keyed(history("read [:x nil]").where(np.zeros(1, dtype=bool)))


def test_some_operations_of_a_history_can_be_asked_for() -> None:
    both = history("read [:x nil] -> [:x 1]", "start nil")
    assert looks_keyed(both.where(both.named("read")))
    assert split_keys(both.where(both.named("read"))).key.tolist() != [NONE]
