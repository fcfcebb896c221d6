"""Lists at levels below linearizable: sessions, causal and sequential consistency. Exact: lists show their order.

    causal       there is one order of all appends that does not contradict causality (clients' own orders, and from
                 each append to the answers that hold it), and every answer holds, in this order, all of its key that
                 comes before it by causality
    sequential   every answer is a beginning of one list per key; an answer comes after what it holds and before what
                 it does not. Together with the clients' own orders that must not go round in a circle. This decides it
                 over all keys at once, in O(n): what is NP-complete for registers is easy where the order is known

What is linearizable is everything else, too; so the levels are looked at one by one only where it is not.

Source: Burckhardt, Principles of Eventual Consistency (2014), and Viotti and Vukolić (2016) for the definitions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from chaoskit.checks.circles import FORCED, OWN, SHOWN, Steps, Ways
from chaoskit.checks.clocks import Columns, clocks
from chaoskit.checks.levels import OBJECTS, implied
from chaoskit.checks.list_sessions import Lists
from chaoskit.checks.register_levels import EXPECTED, WHOLE, at_level, standing
from chaoskit.checks.result import Anomaly, Budget, Options, Result, judged
from chaoskit.checks.words import called
from chaoskit.history.operation import NONE
from chaoskit.units import format_count

__all__ = ["causal_lists", "judge_lists", "sequential_lists"]

Ints = NDArray[np.int64]
_MOST = 10  # operations of a witness
_Rows = list[tuple[int, int, int]]


def _steps(why: int, rows: _Rows) -> Steps:
    """From rows of (source, target, the answer that shows it or NONE)."""
    columns = np.asarray(rows, dtype=np.int64).reshape(-1, 3)
    return Steps.of(why, columns[:, 0], columns[:, 1], columns[:, 2])


def _own(lists: Lists) -> Steps:
    """The clients' own orders."""
    member = np.zeros(len(lists.operations), dtype=np.bool_)
    member[lists.appends] = member[lists.reads] = True
    order = lists.lanes.order[member[lists.lanes.order]]
    same = lists.lanes.lane[order[1:]] == lists.lanes.lane[order[:-1]]
    return Steps.of(OWN, order[:-1][same], order[1:][same])


def _made(lists: Lists) -> dict[tuple[int, object], int]:
    """The append of each element of each key."""
    return {(int(lists.key[at]), element): at for at, element in lists.elements.items()}


def _anomaly(kind: str, level: str, accused: Iterable[int], path: Iterable[int], sentence: str) -> Anomaly:
    witness = set(path)
    those = np.unique(np.asarray([*accused], dtype=np.int64))
    return Anomaly(kind, level, max(1, len(those)), tuple(sorted(witness)), sentence, those, large=len(witness) > _MOST)


def judge_lists(
    model: str, lists: Lists, plain: Sequence[Anomaly], unstamped: tuple[str, ...], options: Options, level: str
) -> Result:
    """Judge lists at one level below linearizable. Exposed are answers to clients that had done something before.

    Args:
        plain: what is wrong by the rules of linearizability, or whatever the level. unstamped: why keys are left out.
    """
    found: list[Anomaly] = []
    reasons = [*unstamped]
    if plain or unstamped:
        guarantees = lists.guarantees()
        found = [one for one in guarantees if level in WHOLE or one.level == level]
        if level in WHOLE and (level == "causal" or not found):
            late = causal_lists(lists, Budget(options.budget))
            if late is None:
                reasons.append(
                    f"{format_count(len(lists.operations))} operations of {format_count(lists.lanes.count)} clients "
                    f"are more than can be compared within the budget of {options.budget:g} s; give it more time with "
                    "--budget, or check a shorter history"
                )
            found += late or []
        if level == "sequential":
            found += sequential_lists(lists)
            reasons = [*unstamped]  # whatever stays open about causality, sequential order is decided
    told = sorted([at_level(one, level) for one in (*plain, *found)], key=lambda one: OBJECTS.index(one.level))
    looked_at = [one for one in OBJECTS if one in implied(level)]
    held = not told and not reasons
    return judged(
        model,
        level,
        EXPECTED[level],
        len(lists.operations),
        int(np.count_nonzero(lists.lanes.place[lists.reads] > 0)),
        tuple(told),
        refuting=implied(level),
        reasons=tuple(reasons),
        notes=lists.lanes.notes(),
        not_refuted="linearizable" if held else None if reasons else standing(told, looked_at),
    )


def sequential_lists(lists: Lists) -> list[Anomaly]:
    """What no order over all lists explains; to be asked where every answer is a beginning of its key's longest one."""
    size = len(lists.operations)
    made = _made(lists)
    seen: set[int] = set()
    shown: _Rows = []
    forced: _Rows = []
    order: dict[int, list[tuple[int, int]]] = {}  # of each key, (place, append) of what its longest answer holds
    for key, longest in lists.longest.items():
        order[key] = [
            (place, made[key, element]) for element, place in lists.places[key].items() if (key, element) in made
        ]
        seen.update(append for _, append in order[key])
        forced += [(one, other, longest) for (_, one), (_, other) in zip(order[key], order[key][1:], strict=False)]
    starts = {key: np.asarray([place for place, _ in those], dtype=np.int64) for key, those in order.items()}
    joint = {key: size + number for number, key in enumerate(order)}
    for read in lists.fits:
        key, length = int(lists.key[read]), len(lists.answers[read])
        at = int(np.searchsorted(starts[key], length))  # how many of those that are known it holds
        if at:
            shown.append((order[key][at - 1][1], read, NONE))
        forced.append(
            (read, order[key][at][1], lists.longest[key]) if at < len(order[key]) else (read, joint[key], read)
        )
    for append in lists.appends.tolist():  # acknowledged, and seen by nobody: after all that was read
        key = int(lists.key[append])
        if append not in seen and key in joint and lists.operations.ok[append]:
            forced.append((joint[key], append, NONE))
    steps = _own(lists).joined(_steps(SHOWN, shown), _steps(FORCED, forced))
    part, inside = steps.knotted(size + len(joint))
    if not len(inside):
        return []
    circle = inside.circle(part)
    path = Ways(circle).stations(range(len(circle)), size)
    path = _without_middles(circle, path, size)
    path += circle.read[circle.read != NONE].tolist()
    names = ", ".join(called(lists.operations, one) for one in dict.fromkeys(path[:6]))
    sentence = f"no order that keeps each client's own explains all answers: {names} would each have to come first"
    return [_anomaly("not-sequential", "sequential", circle.read[circle.read != NONE], path, sentence)]


def _without_middles(circle: Steps, path: list[int], size: int) -> list[int]:
    """Without those appends that merely stand between two others in one answer that shows all of them."""
    source, read, why = circle.source.tolist(), circle.read.tolist(), circle.why.tolist()
    count = len(source)
    middle = {
        source[at]
        for at in range(count)
        if why[at] == why[at - 1] == FORCED
        and read[at] == read[at - 1] != NONE
        and source[at - 1] < size
        and source[at] != read[at]
    }
    return [one for one in path if one not in middle]


def causal_lists(lists: Lists, budget: Budget) -> list[Anomaly] | None:
    """Anomalies that no causally consistent system shows; None where it cannot be told (see `clocks`)."""
    size = len(lists.operations)
    made = _made(lists)
    shown: _Rows = []
    chain: _Rows = []
    order: _Rows = []
    nodes = size
    of_read: dict[int, int] = {}  # how many appends that are known an answer holds
    joints: dict[tuple[int, int], dict[int, int]] = {}
    for read, answer in lists.answers.items():
        key = int(lists.key[read])
        whole = lists.longest[key] if read in lists.fits else read
        home = (key, int(lists.operations.result[whole]))
        if home not in joints:
            known = [
                (place, made[key, one])
                for one, place in lists.index(lists.answers[whole]).items()
                if (key, one) in made
            ]
            joints[home] = {place: nodes + number for number, (place, _) in enumerate(known)}
            for number, (_, append) in enumerate(known):
                shown.append((append, nodes + number, NONE))
                if number:
                    chain.append((nodes + number - 1, nodes + number, NONE))
                    order.append((known[number - 1][1], append, whole))
            nodes += len(known)
        held = [node for place, node in joints[home].items() if place < len(answer)]
        of_read[read] = len(held)
        if held:
            shown.append((held[-1], read, NONE))
    steps = _own(lists).joined(_steps(SHOWN, shown), _steps(OWN, chain))
    part, inside = steps.knotted(nodes)
    if len(inside):
        circle = inside.circle(part)
        path = Ways(circle).stations(range(len(circle)), size)
        accused = [one for one in circle.target[circle.why == SHOWN].tolist() if one < size]
        names = " and ".join(called(lists.operations, one) for one in accused[:3])
        sentence = f"{names}: each shows what was appended only after the other had been answered"
        return [_anomaly("cyclic-co", "causal", accused, path, sentence)]
    lane = np.append(lists.lanes.lane, np.full(nodes - size, NONE))
    place = np.append(lists.lanes.place, np.full(nodes - size, NONE))
    columns = Columns(lane, place, lists.appends, lists.key[lists.appends])
    clock = clocks(columns, steps.source, steps.target, budget)
    if clock is None:
        return None
    found = [_missing(lists, steps, columns, clock, of_read)]
    part, inside = steps.joined(_steps(FORCED, order)).knotted(nodes)
    if len(inside):
        circle = inside.circle(part)
        path = _without_middles(circle, Ways(circle).stations(range(len(circle)), size), size)
        forced = np.unique(circle.read[circle.read != NONE]).tolist()
        names = " and ".join(called(lists.operations, one) for one in forced[:4])
        sentence = f"{names} cannot be right together: no order of the appends explains them that keeps causes first"
        found.append(_anomaly("cyclic-cf", "causal", forced, [*path, *forced], sentence))
    return [one for one in found if one is not None]


def _missing(
    lists: Lists, steps: Steps, columns: Columns, clock: NDArray[np.int32], held: dict[int, int]
) -> Anomaly | None:
    """Answers that lack an append on which they depend."""
    reads = lists.reads
    if not len(reads):
        return None
    key = lists.key[reads]
    known = np.zeros(len(reads), dtype=np.int64)
    for column in range(columns.count):
        codes, base = columns.codes[column], key * columns.span
        known += np.searchsorted(codes, base + clock[reads, column]) - np.searchsorted(codes, base)
    lacking = np.flatnonzero(known > np.asarray([held[at] for at in reads.tolist()], dtype=np.int64))
    if not len(lacking):
        return None
    ways = Ways(steps)
    best: list[int] | None = None
    for read in reads[lacking[:8]].tolist():
        there = set(lists.answers[read])
        for column in range(columns.count):
            codes, begin = columns.codes[column], int(lists.key[read]) * columns.span
            low, high = np.searchsorted(codes, [begin, begin + int(clock[read, column])])
            for append in columns.writes[column][low:high].tolist():
                if lists.elements[append] not in there:
                    way = ways.between(append, read)
                    path = [read, append, *ways.stations(way or (), len(lists.operations))]
                    if best is None or len(set(path)) < len(set(best)):
                        best = path
                    break
    assert best is not None
    sentence = (
        f"{called(lists.operations, best[0])} answers without what {called(lists.operations, best[1])} appended, on "
        "which its client depends: one had led to the other by what clients saw and did"
    )
    return _anomaly("missed-dependency", "causal", reads[lacking].tolist(), best, sentence)
