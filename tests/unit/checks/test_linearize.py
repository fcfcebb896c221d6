"""The search beside plain search, with operations that must, may or might have happened; and its traps by name."""

from __future__ import annotations

import random

import pytest

from chaoskit.checks.diving import dive
from chaoskit.checks.linearize import Machine, Puzzle, Searched, search
from chaoskit.checks.result import Budget
from chaoskit.checks.searching import core
from chaoskit.history.operations import NEVER

Asked = tuple[str, int, int]  # w value, r value, c old new
Interval = tuple[Asked, int, int]


def step(state: int, asked: Asked) -> int | None:
    what, value, new = asked
    if what == "w":
        return value
    if what == "r":
        return state if state == value else None
    return new if state == value else None


def made(*operations: Interval, told: bool = True) -> Puzzle:
    meanings = sorted({asked for asked, _, _ in operations})
    looks = [asked[0] == "r" for asked in meanings] if told else None
    machine = Machine(lambda state, kind: step(state, meanings[kind]), 0, looks)
    invoked, completed = [one[1] for one in operations], [one[2] for one in operations]
    return Puzzle(invoked, completed, [meanings.index(one[0]) for one in operations], machine)


def judged(*operations: Interval, told: bool = True, optional: tuple[int, ...] = ()) -> bool | None:
    return search(made(*operations, told=told), range(len(operations)), Budget(60), optional).legal


def write(value: int, began: int, ended: int) -> Interval:
    return ("w", value, 0), began, ended


def read(value: int, began: int, ended: int) -> Interval:
    return ("r", value, 0), began, ended


def cas(old: int, new: int, began: int, ended: int) -> Interval:
    return ("c", old, new), began, ended


def plainly(operations: list[Interval], optional: set[int], left: frozenset[int], state: int) -> bool:
    """Every order there is. What may be left out is gone when something that began after its end has taken effect."""
    may = {one for one in left if one in optional or operations[one][2] == NEVER}
    if left == may:
        return True
    for one in left:
        asked, began, _ = operations[one]
        if any(operations[other][2] < began for other in left - may - {one}):
            continue
        following = step(state, asked)
        if following is None:
            continue
        gone = {other for other in may if operations[other][2] < began}
        if plainly(operations, optional, left - gone - {one}, following):
            return True
    return False


@pytest.mark.parametrize("told", [True, False])
def test_no_disagreement_with_plain_search(told: bool) -> None:
    legal = 0
    for seed in range(3000):
        rand = random.Random(seed)
        operations, optional = [], set()
        for number in range(rand.randint(3, 7)):
            began = rand.randrange(60)
            asked = rand.choice([("w", rand.randrange(3), 0), ("r", rand.randrange(3), 0), ("c", 0, 1), ("c", 1, 2)])
            mode = rand.random()
            ended = NEVER if mode < 0.2 else 20 * (began + rand.randint(1, 40)) + 10 + number
            operations.append((asked, 20 * began + number, ended))
            if 0.2 < mode < 0.4:
                optional.add(number)
        found = judged(*operations, told=told, optional=tuple(optional))
        expected = plainly(operations, optional, frozenset(range(len(operations))), 0)
        assert found is expected, (seed, operations, optional)
        if not optional:
            puzzle = made(*operations, told=told)
            one_order = dive(puzzle.machine, puzzle.invoked, puzzle.completed, puzzle.kinds, Budget(60))
            assert one_order is expected if told else one_order <= expected, (seed, operations)
        legal += expected
    assert 600 < legal < 2400


def test_of_equal_operations_one_that_began_later_and_returned_sooner_is_another() -> None:
    # Both read 2; the outer one did so before the inner one began, when it was still there.
    outer, inner = read(2, 58, 171), read(2, 142, 149)
    before = (write(1, 48, 95), cas(0, 2, 160, 181), write(2, 54, 87), cas(1, 0, 26, 123))
    assert judged(*before, outer) is True
    assert judged(*before, outer, inner) is False


def test_a_write_of_unknown_outcome_may_take_effect_much_later() -> None:
    assert judged(write(1, 0, NEVER), write(2, 1, 2), read(2, 3, 4), read(1, 5, 6)) is True
    assert judged(write(1, 0, NEVER), write(2, 1, 2), read(1, 3, 4), read(2, 5, 6)) is False


def test_it_takes_effect_once() -> None:
    once = (write(1, 0, NEVER), read(1, 2, 3), write(2, 4, 5))
    assert judged(*once, read(1, 6, 7)) is False
    assert judged(write(1, 1, NEVER), *once, read(1, 6, 7)) is True


def test_what_may_be_left_out_happens_within_its_interval_or_not() -> None:
    late = (write(1, 0, 3), write(2, 5, 6), read(1, 7, 8))
    assert judged(*late, optional=(0,)) is False
    assert judged(*late, optional=(1,)) is True


def test_what_looked_like_a_read_is_asked_again() -> None:
    # The first state in which the compare-and-set is possible it does not change; a later one it would.
    assert judged(cas(0, 0, 0, 9), cas(0, 1, 1, 8), told=False) is True
    assert judged(cas(0, 1, 1, 2), cas(0, 0, 0, 9), cas(1, 0, 3, 4), read(0, 5, 6), told=False) is True


def test_forty_writes_of_unknown_outcome_are_no_forty_doublings() -> None:
    unknown = [write(100 + number, number, NEVER) for number in range(40)]
    reads = [read(value, 1000 + 2 * at, 1001 + 2 * at) for at, value in enumerate([100, 120, 139])]
    steps: list[tuple[int, int]] = []

    def counted(state: int, kind: int) -> int | None:
        steps.append((state, kind))
        return step(state, meanings[kind])

    operations = [*unknown, *reads, read(100, 2000, 2001)]
    meanings = [one[0] for one in operations]
    machine = Machine(counted, 0, [asked[0] == "r" for asked in meanings])  # type: ignore[arg-type]
    times = [one[1] for one in operations], [one[2] for one in operations]
    puzzle = Puzzle(*times, list(range(len(operations))), machine)
    assert search(puzzle, range(len(operations)), Budget(60)) == Searched(False, len(operations) - 1)
    assert len(steps) == len(set(steps)) <= 42 * 44


def test_a_thousand_equal_operations_under_way_are_counted() -> None:
    writes = [write(1, number, 5000 + number) for number in range(500)]
    writes += [write(2, 1000 + number, 6000 + number) for number in range(500)]
    assert judged(*writes, read(1, 7000, 7001)) is True
    assert judged(*writes, read(2, 5600, 7001), read(1, 7002, 7003)) is False


def test_too_many_possibilities_and_a_spent_budget_say_nothing() -> None:
    writes = [write(number, number, 100 + number) for number in range(1, 40)]
    puzzle = made(*writes, read(1, 200, 201))
    assert search(puzzle, range(40), Budget(60), most=100).legal is None
    assert search(puzzle, range(40), Budget(0)).legal is None


def test_the_core_is_wrong_whatever_became_of_the_rest() -> None:
    # A lock: without the release in the middle two acquisitions would be wrong, too, but for no good reason.
    lock = (cas(0, 1, 0, 1), cas(1, 0, 2, 3), cas(0, 1, 4, 5), cas(0, 1, 6, 7))
    puzzle = made(*lock)
    found = core(puzzle, 3, Budget(60))
    assert (sorted(found.answers), found.beside, found.whole) == ([2, 3], (), True)


def test_the_core_shows_what_makes_each_answer_possible() -> None:
    puzzle = made(write(1, 0, 1), write(2, 2, 3), read(2, 4, 5), read(1, 6, 7))
    found = core(puzzle, 3, Budget(60))
    assert sorted((*found.answers, *found.beside)) in ([0, 1, 3], [0, 1, 2, 3])
    assert 3 in found.answers
    assert 0 in (*found.answers, *found.beside)


def test_an_answer_that_nothing_explains_stands_alone() -> None:
    puzzle = made(write(1, 0, 1), write(2, 2, 3), read(9, 4, 5))
    assert core(puzzle, 2, Budget(60)).answers == (2,)


def test_what_had_not_returned_when_the_search_stopped_is_not_accused() -> None:
    # The search stops at the read of 9; the read of 5 is still open then, and its write comes later.
    puzzle = made(read(5, 0, 20), read(9, 1, 2), write(5, 10, 11))
    assert core(puzzle, 1, Budget(60)).answers == (1,)


def test_one_order_is_found_in_what_is_too_much_to_be_searched_as_a_whole() -> None:
    # Eight clients at a time, every value twice: configurations without end, and nearly every order will do.
    rand = random.Random(1)
    operations, state = [], 0
    for number in range(2000):
        if rand.random() < 0.5:
            state = number // 2
            asked: Asked = ("w", state, 0)
        else:
            asked = ("r", state, 0)
        operations.append((asked, 100 * number - rand.randrange(400), 100 * number + rand.randrange(400)))
    puzzle = made(*operations)
    assert search(puzzle, range(2000), Budget(60), most=30).legal is None
    assert search(puzzle, range(2000), Budget(60), most=30, hopeful=True) == Searched(True, -1)


def test_a_part_of_a_long_history_begins_in_any_state_that_was_left_before(monkeypatch: pytest.MonkeyPatch) -> None:
    # By itself each answer is right: nobody is accused of having shown what nobody wrote.
    puzzle = made(write(1, 0, 1), read(1, 2, 3), write(2, 4, 5), read(2, 6, 7), read(1, 8, 9))
    exact = core(puzzle, 4, Budget(60))
    monkeypatch.setattr("chaoskit.checks.searching._LONG", 0)
    assert core(puzzle, 4, Budget(60)) == exact
    assert len(exact.answers) > 1
