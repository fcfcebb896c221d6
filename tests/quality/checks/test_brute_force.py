"""The invariants against definitions that try every pair of operations, on thousands of small random histories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaoskit.checks import acknowledged, immutable
from chaoskit.checks.context import CheckContext, Judgement
from chaoskit.history.frame import History
from chaoskit.history.operation import Answer, ErrorCode, Outcome

KEYS = ["a", "b", "c"]
VALUES = ["u0", "u1", "u2", "u3", "u4"]
ENDS: dict[str, dict[str, Any]] = {
    "ok": {},
    "info": {"outcome": Outcome.INFO, "answer": Answer.SILENT, "error": ErrorCode.TIMEOUT},
    "open": {"outcome": Outcome.OPEN, "answer": Answer.NONE, "took": None},
    "fail": {"outcome": Outcome.FAIL, "answer": Answer.REFUSED, "error": ErrorCode.STATUS, "status": 400},
    "unsent": {
        "outcome": Outcome.FAIL,
        "answer": Answer.NONE,
        "error": ErrorCode.UNSENT,
        "unsent": True,
        "took": None,
    },
}
instants = st.integers(0, 12)
lengths = st.integers(0, 6)
operations = st.one_of(
    st.tuples(
        st.just("write"),
        instants,
        lengths,
        st.sampled_from([*KEYS, None]),
        st.sampled_from(VALUES),
        st.sampled_from([*ENDS]),
    ),
    st.tuples(
        st.just("read"),
        instants,
        lengths,
        st.sampled_from(KEYS),
        st.sampled_from([*VALUES, None]),
        st.sampled_from(["ok", "ok", "ok", "fail"]),
    ),
    st.tuples(
        st.just("final"),
        st.integers(8, 20),
        lengths,
        st.sampled_from(KEYS),
        st.sampled_from([*VALUES, None]),
        st.sampled_from(["ok", "ok", "fail"]),
    ),
)
histories = st.lists(operations, max_size=9)
quick = settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def build(new_book: Callable[[], Any], script: list[tuple[Any, ...]]) -> History:
    book = new_book()
    for kind, due, took, key, text, end in script:
        how = {"took": float(took), **ENDS[end]}
        if kind == "write":
            book.write(float(due), key, text, **how)
        else:
            book.read(float(due), key, text, phase=2 if kind == "final" else 1, **how)
    history: History = book.history()
    return history


def pairs_immutable(history: History) -> dict[str, set[int]]:
    """Who is accused of what, by trying all pairs; a direct transcription of the definitions."""
    ops = []
    for n, row in enumerate(history.rows):
        write = history.functions[row["f"]] == "write"
        text = history.text(int(row["value_id" if write else "result_id"]))
        ops.append((n, write, history.text(int(row["key"])), text, row["t_sent"], row["t_end"], row))
    writes = [op for op in ops if op[1]]
    acked = [op for op in writes if op[6]["outcome"] == Outcome.OK and op[2] is not None]
    reads = [op for op in ops if not op[1] and op[6]["outcome"] == Outcome.OK and op[3] is not None]
    sure = [op for op in writes if op[6]["outcome"] == Outcome.FAIL and op[6]["error"] != ErrorCode.UNSENT]
    maybe = [op for op in writes if op not in sure]
    found: dict[str, set[int]] = {k: set() for k in ("thin-air", "duplicate", "changed", "aborted-read", "future-read")}
    for op in reads:
        if not any(w[3] == op[3] for w in writes):
            found["thin-air"].add(op[0])
        elif not any(w[3] == op[3] for w in maybe):
            found["aborted-read"].add(op[0])
        elif all(op[5] < w[4] for w in maybe if w[3] == op[3]):
            found["future-read"].add(op[0])
    traced = [op for op in reads if not any(op[0] in accused for accused in found.values())]
    for op in [*acked, *traced]:
        rivals = [other for other in [*acked, *traced] if other[2] == op[2]]
        truth = min(rivals, key=lambda other: (not other[1], other[5], other[0]))[3]
        if op[3] != truth:
            found["duplicate" if op[1] else "changed"].add(op[0])
    return {kind: accused for kind, accused in found.items() if accused}


def pairs_lost(history: History) -> tuple[int, int]:
    """(lost or replaced, unknown) among the acknowledged writes, by looking at every final read for each of them."""
    lost = unknown = 0
    for row in history.rows:
        if history.functions[row["f"]] != "write" or row["outcome"] != Outcome.OK or row["key"] < 0:
            continue
        key, value = history.text(int(row["key"])), history.text(int(row["value_id"]))
        finals = [
            r
            for r in history.rows
            if r["phase"] == 2 and r["outcome"] == Outcome.OK and history.text(int(r["key"])) == key
        ]
        last = max(enumerate(finals), key=lambda pair: (pair[1]["t_end"], pair[0]), default=(0, None))[1]
        if last is None or last["t_sent"] <= row["t_end"]:
            unknown += 1
        elif history.text(int(last["result_id"])) != value:
            lost += 1
    return lost, unknown


def alone(history: History, judgement: Judgement) -> History:
    assert judgement.witness is not None
    rows = history.rows[[op.index for op in judgement.witness.operations]]
    return History(rows, history.nodes, history.classes, history.functions, history.values, history.origin_ns)


@quick
@given(script=histories)
def test_immutable_agrees_with_all_pairs(new_book: Callable[[], Any], script: list[tuple[Any, ...]]) -> None:
    history = build(new_book, script)
    found = immutable.check(history, CheckContext())
    expected = pairs_immutable(history)
    assert found.anomalies == {kind: len(accused) for kind, accused in expected.items()}
    assert set(found.accused.tolist()) == set().union(*expected.values()) if expected else not len(found.accused)
    assert (found.verdict == "refuted") == bool(expected) == (found.witness is not None)
    if found.witness is not None:
        assert len(found.witness.operations) <= 4
        assert immutable.check(alone(history, found), CheckContext()).verdict == "refuted"


@quick
@given(script=histories)
def test_acknowledged_agrees_with_looking_at_every_final_read(
    new_book: Callable[[], Any], script: list[tuple[Any, ...]]
) -> None:
    history = build(new_book, script)
    found = acknowledged.check(history, CheckContext())
    lost, unknown = pairs_lost(history)
    assert sum(found.anomalies.values()) == lost
    assert (found.verdict == "refuted") == (lost > 0)
    if not lost and unknown:
        assert found.verdict == "inconclusive"
    if found.witness is not None:
        assert len(found.witness.operations) == 2
        assert acknowledged.check(alone(history, found), CheckContext()).verdict == "refuted"


def sound(new_book: Callable[[], Any], seed: int, operations: int = 600) -> tuple[History, np.random.Generator]:
    """What a system that keeps its word produces under faults: errors, silence and late answers included."""
    rng = np.random.default_rng(seed)
    book = new_book()
    stored: dict[str, str] = {}
    for n in range(operations):
        due, how = n / 50, rng.random()
        if rng.random() < 0.3 or not stored:
            value = f"u{n}"
            if how < 0.7:
                book.write(due, f"k{n}", value)
                stored[f"k{n}"] = value
            else:
                book.write(due, None, value, **{"took": 2.0, **ENDS["info"]})
                if how < 0.85:  # it happened although nobody was told; whoever guesses the key may read it
                    stored[f"k{n}"] = value
        else:
            key = str(rng.choice(list(stored)))
            if how < 0.8:
                book.read(due, key, stored[key])
            else:
                book.silent(due, key=key) if how < 0.9 else book.refused(due, key=key)
    for n, (key, value) in enumerate(stored.items()):
        book.read(operations / 50 + 5 + n / 1000, key, value, phase=2)
    return book.history(), rng


def test_a_sound_system_is_never_accused(new_book: Callable[[], Any]) -> None:
    for seed in range(30):
        history, _ = sound(new_book, seed)
        for invariant in (immutable, acknowledged):
            found = invariant.check(history, CheckContext())
            assert found.verdict == "held", (seed, found.observed, found.reasons)
            assert not found.anomalies and not len(found.accused)


def test_planted_bugs_are_found(new_book: Callable[[], Any]) -> None:
    for seed in range(30):
        for bug in ("flip", "drop", "duplicate", "ghost"):
            history, rng = sound(new_book, seed)
            rows = history.rows
            ok = rows["outcome"] == Outcome.OK
            reads = np.flatnonzero(ok & (rows["f"] == 1) & (rows["phase"] == 1))
            writes = np.flatnonzero(ok & (rows["f"] == 0))
            final = np.flatnonzero(ok & (rows["phase"] == 2))
            one = int(rng.choice(reads))
            if bug == "flip":
                other = next(
                    int(r) for r in writes if history.text(int(rows["key"][r])) != history.text(int(rows["key"][one]))
                )
                rows["result_id"][one] = rows["value_id"][other]
            elif bug == "drop":
                acked = {history.text(int(k)) for k in rows["key"][writes]}
                rows["result_id"][
                    next(int(r) for r in rng.permutation(final) if history.text(int(rows["key"][r])) in acked)
                ] = -1
            elif bug == "duplicate":
                first, second = rng.choice(writes, 2, replace=False)
                rows["key"][second] = rows["key"][first]
            else:
                rows["result_id"][one] = len(history.values)
                history = History(
                    rows,
                    history.nodes,
                    history.classes,
                    history.functions,
                    (*history.values, "ghost"),
                    history.origin_ns,
                )
            invariant = acknowledged if bug == "drop" else immutable
            found = invariant.check(history, CheckContext())
            assert found.verdict == "refuted", (seed, bug)
            assert invariant.check(alone(history, found), CheckContext()).verdict == "refuted", (seed, bug)
