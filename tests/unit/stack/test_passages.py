"""The square of a matrix: what each sender's bytes become on their way to each hearer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chaoskit.stack.effects import Passage
from chaoskit.stack.passages import ends, named_sides, square

LINKS = ["a->b:1", "b->a:1", "a->b:2", "b->c:1", "client@a->a:3", "client->b:3"]


def test_both_directions_of_a_link() -> None:
    found = square([Passage(link="a->b:1", up=False, down=True), Passage(link="b->c:1", up=True, down=True)])
    assert found.nodes == ("a", "b", "c")
    assert (found.cell("a", "b"), found.cell("b", "a")) == ("lost", "passes")
    assert (found.cell("b", "c"), found.cell("c", "b"), found.cell("a", "c"), found.cell("a", "a")) == (
        "passes",
    ) * 2 + (
        "",
        "",
    )


@given(st.lists(st.tuples(st.sampled_from(LINKS), st.booleans(), st.booleans()), unique_by=lambda one: one[0]))
def test_a_cell_is_lost_where_nothing_passes_and_partly_where_some_does(given_: list[tuple[str, bool, bool]]) -> None:
    matrix = [Passage(link=link, up=up, down=down) for link, up, down in given_]
    found = square(matrix)
    for sender in found.nodes:
        for hearer in found.nodes:
            ways = {p.up for p in matrix if ends(p.link) == (sender, hearer)}
            ways |= {p.down for p in matrix if ends(p.link) == (hearer, sender)}
            expected = "" if not ways else "partly" if len(ways) == 2 else "passes" if True in ways else "lost"
            assert found.cell(sender, hearer) == expected
    left_out = {name for p in matrix for name in ends(p.link)} - set(found.nodes)
    assert all(name.startswith("client") for name in left_out)
    assert all(p.up and p.down for p in matrix if left_out & set(ends(p.link)))


def test_sides_that_are_the_same_are_told_once() -> None:
    sides = {"n1": ("n1", "client@n1"), "n2": ("n2",), "isolated": ("n1", "client@n1"), "rest": ("n2", "n3"),
             "majority": ("n2", "n3")}  # fmt: skip
    assert named_sides(sides) == {"isolated": ("n1", "client@n1"), "rest or majority": ("n2", "n3")}
