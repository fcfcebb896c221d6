"""Claims about consistency: which operations they are judged by, and when “held” would promise too much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from chaoskit.checks.conditions import Evidence
from chaoskit.checks.consistency import Consistent, judge_consistency
from chaoskit.checks.power import Power, Strike
from chaoskit.checks.sample import Load
from chaoskit.history.frame import History
from chaoskit.history.operation import Answer, ErrorCode, Outcome
from chaoskit.history.windows import Disturbance, windows
from chaoskit.spec.model import Claim, Consistency, Window

CLASSES = {"create": "write", "resolve": "read", "peek": "read"}
BEGIN, HEAL = 5_000_000_000_000 + 10 * 10**9, 5_000_000_000_000 + 20 * 10**9
CUT = Disturbance("cut", planned_ns=BEGIN, start_ns=BEGIN, heal_ns=HEAL, length_ns=HEAL - BEGIN)
SIDES = {"cut": {"majority": ("client@n1", "n1"), "minority": ("client@n2", "n2")}}
UNKNOWN: dict[str, Any] = {"outcome": Outcome.INFO, "answer": Answer.SILENT, "error": ErrorCode.TIMEOUT, "took": 1.0}


@pytest.fixture
def wide(book: Any) -> Any:
    """A book with two clients and two classes of reads."""
    book.classes.append("peek")
    book.nodes += ["client@n1", "client@n2", "n1", "n2"]
    return book


def judged(
    book: Any,
    window: Window = Window(kind="whole"),
    damaged: tuple[str, ...] = (),
    sent: tuple[str, ...] = tuple(CLASSES),
    **asked: Any,
) -> Consistent:
    history: History = book.history(damaged)
    spans = windows(history.origin_ns, history.origin_ns + 30 * 10**9, 10**9, 0, [CUT])
    claim = Claim(
        id="c", consistency=Consistency(**{"model": "register", "level": "linearizable", **asked}), window=window
    )
    return judge_consistency(
        claim, Evidence(history, Load.of(history), spans, sides=SIDES, disturbances=(CUT,)), CLASSES, sent, 1
    )


def traffic(book: Any, stale: tuple[float, float] = (0.0, 0.0), cls: str = "peek", reader: str = "client@n2") -> Any:
    """A key is overwritten every 0.2 s by one client, and read with both classes by two clients; in an interval one
    class answers one of the clients what was there ten writes ago."""
    for n in range(130):
        book.write(n / 5, "k", f"v{n}", source="client@n1")
    for n in range(1, 780):
        due = n / 30 + 0.02
        one, client = ("resolve", "peek")[n % 2], ("client@n1", "client@n2")[n // 2 % 2]
        number = n // 6
        if stale[0] <= due < stale[1] and (one, client) == (cls, reader):
            number = max(number - 10, 0)
        book.read(due, "k", f"v{number}", cls=one, source=client)
    return book


def test_a_sound_register_is_held_with_its_power(wide: Any) -> None:
    found = judged(traffic(wide)).finding
    assert (found.verdict, found.expected) == ("held", "linearizable register")
    assert (found.operations, found.exposed) == (909, 779)
    assert found.observed == "no anomaly in 779 answers that could have shown one"
    assert found.planted and all(one.struck == 100 for one in found.planted)


def test_a_history_that_could_have_shown_nothing_is_not_held(wide: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    blind = Power((Strike("stale-read", 40, 0, 40), Strike("lost-write", 0, 0, 0)))
    monkeypatch.setattr("chaoskit.checks.consistency.power", lambda *_, **__: blind)
    found = judged(traffic(wide)).finding
    assert found.verdict == "inconclusive"
    assert found.reasons == ("of 40 bugs planted in these answers none would have been seen",)


def test_a_stale_class_is_refuted_and_the_other_is_not(wide: Any) -> None:
    traffic(wide, stale=(10.0, 20.0))
    assert judged(wide, classes=("resolve",)).finding.verdict == "held"
    found = judged(wide, classes=("peek",))
    assert found.finding.verdict == "refuted"
    assert found.finding.expected == "linearizable register of peek"
    assert found.finding.anomalies == {"stale-read": len(found.accused)}
    assert found.finding.witness is not None
    assert 2 <= len(found.finding.witness.operations) <= 10
    rows = wide.history().rows
    assert set(rows["cls"][found.accused]) == {2}


def test_the_witness_is_named_as_the_sentence_names_it(wide: Any) -> None:
    witness = judged(traffic(wide, stale=(10.0, 20.0)), classes=("peek",)).finding.witness
    assert witness is not None
    for one in witness.operations:
        assert f"operation {one.index} (process {one.process}: {one.f}" in witness.sentence


@pytest.mark.parametrize(
    ("kind", "verdict"), [("during", "refuted"), ("after", "inconclusive"), ("before", "held"), ("whole", "refuted")]
)
def test_a_window_chooses_answers_and_never_writes(wide: Any, kind: Any, verdict: str) -> None:
    found = judged(traffic(wide, stale=(12.0, 15.0)), Window(kind=kind, of=None if kind == "whole" else "cut")).finding
    assert found.verdict == verdict
    assert (found.window is None) == (kind == "whole")


def test_a_side_chooses_answers(wide: Any) -> None:
    traffic(wide, stale=(12.0, 15.0))
    cut = Window(kind="during", of="cut")
    assert judged(wide, cut, side="minority").finding.verdict == "refuted"
    found = judged(wide, cut, side="majority").finding
    assert (
        found.verdict == "inconclusive"
    )  # nobody else wrote: that side could not have been wrong about another's work
    assert "about a key that another side wrote" in found.reasons[-1]


def test_with_few_answers_nothing_is_held(wide: Any) -> None:
    wide.write(0.0, "k", "v")
    for n in range(99):
        wide.read(1 + n / 10, "k", "v")
    found = judged(wide, classes=("resolve",)).finding
    assert found.verdict == "inconclusive"
    assert found.reasons[0] == "only 99 answers of resolve to be judged: at least 100 are needed"
    assert judged(wide.read(25.0, "k", "v"), classes=("resolve",)).finding.verdict == "held"


def test_answers_about_keys_that_nobody_wrote_show_nothing(wide: Any) -> None:
    for n in range(300):
        wide.read(n / 20, f"k{n}", None)
    found = judged(wide, classes=("resolve",)).finding
    assert found.verdict == "inconclusive"
    assert "only 0 operations could have shown an anomaly" in found.reasons[-1]


def test_every_class_needs_enough(wide: Any) -> None:
    wide.write(0.0, "k", "v")
    for n in range(300):
        wide.read(1 + n / 20, "k", "v")
    found = judged(wide).finding
    assert found.verdict == "inconclusive"
    assert found.reasons == ("only 0 answers of peek to be judged: at least 100 are needed",)


def test_final_reads_of_a_class_that_is_not_sent_are_reads(wide: Any) -> None:
    wide.write(0.0, "k", "v").write(0.1, "lost", "w")
    for n in range(300):
        wide.read(1 + n / 20, "k", "v")
    wide.read(28.0, "lost", None, cls="peek", phase=2)
    sent = ("create", "resolve")
    assert judged(wide, sent=sent, classes=("resolve",)).finding.verdict == "held"
    assert judged(wide, sent=sent).finding.anomalies == {"nil-after-ack": 1}


def test_what_never_left_the_harness_is_nobodys_fault(wide: Any) -> None:
    wide.functions.append("delete")
    traffic(wide)
    for n in range(50):
        wide.unsent(n / 10, key="k")
    history = wide.history()
    history.rows["f"][history.rows["t_sent"] == -1] = -1
    wide.history = lambda damaged=(): history
    assert judged(wide).finding.verdict == "held"


def test_an_unknown_write_may_be_read(wide: Any) -> None:
    traffic(wide).write(24.0, "x", "late", **UNKNOWN, source="client@n2")
    wide.read(28.0, "x", "late")
    assert judged(wide).finding.verdict == "held"


def test_other_operations_take_their_keys_with_them(wide: Any) -> None:
    wide.functions.append("delete")
    traffic(wide).add(1.0, f="delete", key="gone", cls="create").write(0.5, "gone", "v").read(2.0, "gone", None)
    found = judged(wide).finding
    assert found.verdict == "held"
    assert "1 key left out: operations that are no register's touched" in found.notes


def test_a_damaged_history_refutes_nothing(wide: Any) -> None:
    found = judged(traffic(wide, stale=(10.0, 20.0)), damaged=("3 rows torn",))
    assert found.finding.verdict == "inconclusive"
    assert "3 rows torn" in found.finding.reasons[0]
    assert not len(found.accused)


def test_several_clocks_are_no_order(wide: Any) -> None:
    history = traffic(wide).history()
    history.rows["clock_domain"][::2] = 1
    wide.history = lambda damaged=(): history
    assert "several clocks" in judged(wide).finding.reasons[0]


def test_a_fault_that_was_not_seen_has_no_window(wide: Any) -> None:
    found = judged(traffic(wide), Window(kind="during", of="other")).finding
    assert found.reasons == ("there is no window “during other”: its beginning was not observed",)


def test_a_model_that_knows_no_such_values_gives_up(wide: Any) -> None:
    wide.functions = ["add", "read"]
    wide.add(0.0, f="add", key="s", value="1", cls="create").read(1.0, "s", "neither a list nor a set")
    found = judged(wide, model="set").finding
    assert found.verdict == "inconclusive" and found.reasons


def test_lists_are_written_as_json(wide: Any) -> None:
    wide.functions = ["append", "read"]
    for n in range(120):
        wide.add(n / 10, f="append", key="l", value=f"a{n}", cls="create", source="client@n1")
        text = "[" + ", ".join(f'"a{one}"' for one in range(n + 1)) + "]"
        wide.read(n / 10 + 0.05, "l", text, source="client@n2")
        wide.read(n / 10 + 0.07, "l", text, source="client@n2", cls="peek")
    assert judged(wide, model="append").finding.verdict == "held"
    wide.read(15.0, "l", '["a1"]')
    assert judged(wide, model="append").finding.verdict == "refuted"


def test_a_class_that_does_other_things_is_not_asked(wide: Any) -> None:
    wide.functions.append("lookup")
    wide.write(0.0, "k", "v")
    for n in range(150):
        wide.read(1 + n / 10, "k", "v").add(1.05 + n / 10, f="lookup", key="other", cls="peek")
    assert judged(wide, sent=("resolve", "peek")).finding.verdict == "held"
    found = judged(wide, classes=("peek",)).finding
    assert found.reasons[0] == "only 0 answers of peek to be judged: at least 100 are needed"


def test_what_takes_is_never_left_out(wide: Any) -> None:
    """A dequeue outside of the window, in a class that the target calls reads: without it its element would be lost."""
    wide.functions = ["enqueue", "dequeue"]
    for n in range(250):
        wide.add(n / 10, f="enqueue", key="q", value=str(n), cls="create")
        wide.add(n / 10 + 0.05, f="dequeue", key="q", result=str(n))
    found = judged(wide, Window(kind="before", of="cut"), model="fifo-queue", sent=("create", "resolve")).finding
    assert (found.verdict, found.operations) == ("inconclusive", 500)
    assert found.reasons == ("only 90 answers of resolve to be judged: at least 100 are needed",)
    wide.add(26.0, f="dequeue", key="q", result="7")
    assert judged(wide, model="fifo-queue", sent=("create", "resolve")).finding.anomalies == {"duplicate": 1}


def test_bugs_are_planted_in_what_was_chosen(wide: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wide.functions = ["enqueue", "dequeue"]
    for n in range(400):
        wide.add(n / 16, f="enqueue", key="q", value=str(n), cls="create")
        wide.add(n / 16 + 0.03, f="dequeue", key="q", result=str(n))
    places: list[int] = []

    def spied(model: Any, given: Any, *_: Any, window: Any) -> Power:
        places.extend(given.began_ns[window] // 10**7)
        return Power((Strike("lost-element", 1, 1, 0),))

    monkeypatch.setattr("chaoskit.checks.consistency.power", spied)
    before = Window(kind="before", of="cut")
    assert judged(wide, before, model="fifo-queue", sent=("create", "resolve")).finding.verdict == "held"
    assert len(places) == 144  # dequeues due in [0 s, 9 s]: 16 a second


def test_transactions_are_left_out_where_they_only_read(wide: Any) -> None:
    wide.functions = ["txn"]
    for n in range(150):
        wide.add(n / 12, f="txn", value=f'[["append", "x", {n}]]', cls="resolve")
        wide.add(n / 12 + 0.05, f="txn", value='[["r", "x", null]]', result=f'[["r", "x", {list(range(n + 1))}]]')
    before = Window(kind="before", of="cut")
    found = judged(wide, before, model="list-append", level="serializable", sent=("create", "resolve")).finding
    assert (found.verdict, found.operations) == ("held", 150 + 108)  # reads due in [0 s, 9 s]


def test_what_all_reads_show_together_has_no_window(wide: Any) -> None:
    wide.functions = ["add", "read"]
    for n in range(150):
        wide.add(n / 10, f="add", key="s", value=str(n), cls="create")
        wide.read(n / 10 + 0.05, "s", str(list(range(n + 1))))
    found = judged(wide, Window(kind="during", of="cut"), model="set-full", level="", sent=("create", "resolve"))
    assert found.finding.verdict == "inconclusive"
    assert found.finding.reasons[0].startswith("set-full asks what becomes of things in the end")
    assert judged(wide, model="set-full", level="", sent=("create", "resolve")).finding.verdict == "held"


def test_without_reads_a_window_counts_what_is_done_in_it(wide: Any) -> None:
    wide.functions = ["generate"]
    for n in range(250):
        wide.add(n / 10, f="generate", result=f"id{n}", cls="create")
    assert judged(wide, model="unique-ids", level="", sent=("create",)).finding.verdict == "held"
    found = judged(wide, Window(kind="during", of="cut"), model="unique-ids", level="", sent=("create",)).finding
    assert found.reasons == ("only 81 answers of create to be judged: at least 100 are needed",)  # due in [10 s, 18 s]


def lagging(book: Any) -> Any:
    """One client is always up to date, the other always ten writes behind, and never goes back."""
    for n in range(250):
        book.write(n / 10, "k", f"v{n}", process=1, source="client@n1")
        book.read(n / 10 + 0.03, "k", f"v{n}", process=2, source="client@n1")
        book.read(n / 10 + 0.06, "k", f"v{max(0, n - 10)}", process=3, source="client@n2", cls="peek")
    return book


def test_what_a_level_allows_refutes_nothing_and_accuses_nobody(wide: Any) -> None:
    lagging(wide)
    found = judged(wide, level="monotonic-reads")
    assert (found.finding.verdict, found.finding.anomalies, len(found.accused)) == ("held", {}, 0)
    assert found.finding.notes[0] == "seen as well, which monotonic-reads allows: 249 stale-read"
    assert judged(wide).finding.anomalies == {"stale-read": 249}


def test_a_witness_is_of_what_the_level_forbids(wide: Any) -> None:
    lagging(wide)
    wide.read(26.0, "k", "v3", process=3, source="client@n2", cls="peek")
    found = judged(wide, level="monotonic-reads").finding
    assert found.verdict == "refuted" and found.witness is not None
    assert set(found.anomalies) == {found.witness.kind} == {"non-monotonic-read"}


def test_staleness_is_told_by_window_side_and_node(wide: Any) -> None:
    found = judged(lagging(wide), Window(kind="during", of="cut")).finding
    rows = {(one.window, one.side, one.node): one for one in found.stale}
    assert list(rows) == [
        ("whole", None, None),
        *[(window, side, None) for window in ("before", "during cut", "after cut") for side in (None, *SIDES["cut"])],
    ]
    # Two reads for each of 80 writes: with a budget of 1 s those due in [10 s, 18 s] count. The one of the minority is
    # due 1.06 s after the write that it shows, of which the next, acknowledged 0.11 s after it, was there for 0.95 s.
    during = rows["during cut", None, None]
    assert (during.answers, during.stale) == (160, 80)
    minority, majority = rows["during cut", "minority", None], rows["during cut", "majority", None]
    assert (minority.answers, minority.stale, majority.answers, majority.stale) == (80, 80, 80, 0)
    assert minority.age[2] == pytest.approx(0.95) and minority.age[0] == pytest.approx(0.95)
    assert minority.age[1] is None  # of 80 the p99 is the maximum
    assert minority.versions == (10, None, 10)
    assert minority.visible == (0.0, 0.0, 1.0)
    assert majority.visible == (1.0, 1.0, 1.0)
    assert judged(wide, classes=("resolve",)).finding.stale[0].stale == 0


def test_lost_writes_are_told_by_time_and_side(wide: Any) -> None:
    wide.functions = ["add", "read"]
    for n in range(250):
        wide.add(n / 10, f="add", key="s", value=str(n), cls="create", source=f"client@n{1 + n % 2}")
    kept = [n for n in range(250) if n % 2 == 0 or not 100 <= n < 200]
    wide.read(28.0, "s", str(kept), phase=2)
    found = judged(wide, model="set", classes=("resolve",)).finding
    assert found.verdict == "refuted"
    assert (found.numbers["acknowledged"], found.numbers["lost everywhere"]) == (250, 50)
    assert found.split == {
        "acknowledged before cut": 0,
        "acknowledged during cut at majority": 0,
        "acknowledged during cut at minority": 50,
        "acknowledged after cut": 0,
    }


def test_a_checker_that_crashes_is_inconclusive(wide: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("chaoskit.checks.models.register.judge", broken)
    found = judged(traffic(wide)).finding
    assert found.verdict == "inconclusive"
    assert "the checker crashed: ZeroDivisionError: oops" in found.reasons[0]


def test_an_empty_history_says_nothing(wide: Any) -> None:
    found = judged(wide)
    assert found.finding.verdict == "inconclusive"
    assert np.array_equal(found.accused, [])
