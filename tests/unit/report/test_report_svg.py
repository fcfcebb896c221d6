"""Static pictures: well-formed, labelled, labels apart, short runs and odd topologies included."""

from __future__ import annotations

import itertools
import math
from types import ModuleType
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from chaoskit.report import build
from chaoskit.report.model import LinkView, NodeView, OpView, ReportModel, Timeline, TopologyView, WitnessView
from chaoskit.report.svg import intervals, summary, timeline, topology
from chaoskit.report.svg.draw import Lanes, clipped, el, polyline, spread, ticks, width_of
from chaoskit.store import RunDir


def parsed(svg: Markup) -> ElementTree.Element:
    root = ElementTree.fromstring(str(svg))
    assert root.tag == "svg" and root.get("role") == "img"
    assert root.findtext("title") and root.findtext("desc")
    ids = [node.get("id") for node in root.iter() if node.get("id")]
    assert len(ids) == len(set(ids))
    labels = (root.get("aria-labelledby") or "").split()
    assert len(labels) == 2 and set(labels) <= set(ids)
    return root


@pytest.mark.parametrize("narrow", [False, True])
def test_every_picture_is_well_formed_and_stays_inside(model: ReportModel, narrow: bool) -> None:
    scale = timeline.scale_of(model.timelines)
    pictures = [timeline.render(one, scale, narrow=narrow) for one in model.timelines]
    pictures += [intervals.render(one, narrow=narrow) for one in model.witnesses]
    pictures += [topology.render(model.topology, narrow=narrow)]
    pictures += [f(model.phases, model.summaries) for f in (summary.render_yield, summary.render_p99)]
    for picture in pictures:
        root = parsed(picture)
        width, height = map(float, (root.get("viewBox") or "").split()[2:])
        for text in root.iter("text"):
            x, y = float(text.get("x") or 0), float(text.get("y") or 0)
            assert -1 <= x <= width + 1 and 0 <= y <= height, ElementTree.tostring(text)


def test_variants_share_their_axes(model: ReportModel) -> None:
    scale = timeline.scale_of(model.timelines)
    axes = []
    for one in model.timelines:
        root = parsed(timeline.render(one, scale))
        axes.append([(t.get("x"), t.text) for t in root.iter("text") if t.get("class") == "tick" and " s" in t.text])
    assert axes[0] and [a for a in axes[0] if a[1] == "8 s"] == [a for a in axes[1] if a[1] == "8 s"]


def test_the_limit_of_a_claim_stands_in_the_timeline(model: ReportModel) -> None:
    root = parsed(timeline.render(model.timelines[0], timeline.scale_of(model.timelines)))
    texts = [text.text for text in root.iter("text")]
    assert "p99 ≤ 100 ms" in texts and "yield ≥ 99 %" in texts
    assert "slow-db (latency)" in texts and "recovery 400 ms" in texts


def test_a_timeline_of_one_bin_and_no_latency_can_be_drawn(model: ReportModel) -> None:
    tiny = model.timelines[0].model_copy(
        update={
            **dict.fromkeys(("ok", "late", "fail", "info"), (0.0,)),
            **dict.fromkeys(("p50", "p95", "p99"), (None,)),
            "yields": (), "limits": (), "bands": (), "marks": (), "brackets": (),
        }
    )  # fmt: skip
    parsed(timeline.render(tiny, timeline.scale_of([tiny])))


def test_a_fault_that_never_began_is_drawn_apart(sample: ModuleType, stored: RunDir) -> None:
    cell = sample.cell("patient")
    never = cell.faults[0].model_copy(update={"start": None, "end": None, "seen": False, "gone": False})
    broken = cell.model_copy(update={"faults": (never,)})
    model = build(sample.analysis(cells=(broken,)), sample.plan(), {}, stored)
    svg = str(timeline.render(model.timelines[0], timeline.scale_of(model.timelines)))
    assert "band-never" in svg and 'class="band"' not in svg and "slow-db (never began)" in svg


def test_interval_diagram_keeps_the_order_of_all_instants(model: ReportModel) -> None:
    witness = model.witnesses[1]
    assert intervals.squeezed(witness)
    root = parsed(intervals.render(witness))
    bars = [r for r in root.iter("rect") if "op-bar" in (r.get("class") or "")]
    edges = [(float(r.get("x") or 0), float(r.get("x") or 0) + float(r.get("width") or 0)) for r in bars]
    created, unknown, read = edges
    assert created[1] < unknown[0] < read[0] < read[1] < unknown[1]  # the unknown one is never over


def test_interval_diagram_of_one_slow_answer_is_to_scale(model: ReportModel) -> None:
    witness = model.witnesses[0]
    assert not intervals.squeezed(witness)
    root = parsed(intervals.render(witness))
    bar = next(r for r in root.iter("rect"))
    x, width = float(bar.get("x") or 0), float(bar.get("width") or 0)
    limit = float(next(r for r in root.iter("line") if "limit" in (r.get("class") or "")).get("x1") or 0)
    assert (limit - x) / width == pytest.approx(0.1 / 0.247, abs=0.02)


def test_operations_at_the_same_instant_and_never_sent_ones_can_be_drawn() -> None:
    ops = tuple(
        OpView(number=i, who="c", call="write", answer="?", outcome="fail", due=1.0, sent=None, end=None)
        for i in (1, 2)
    )
    witness = WitnessView(
        label="W1", anchor="w", claim="c", variant="v", trial=1, kind="lost", sentence="s", operations=ops, moments=()
    )  # fmt: skip
    parsed(intervals.render(witness, narrow=True))


def test_a_clustered_topology_with_links_both_ways_can_be_drawn() -> None:
    names = ["client", "n1", "n2", "n3"]
    nodes = tuple(NodeView(name=n, kind="", layer=min(i, 1), rank=max(i - 1, 0)) for i, n in enumerate(names))
    pairs = [("client", "n1"), *((a, b) for a in names[1:] for b in names[1:] if a != b)]
    links = tuple(
        LinkView(id=f"{a}->{b}:1", source=a, destination=b, port=1, faults=(1, 2) if a == "n1" else ())
        for a, b in pairs
    )
    for narrow in (False, True):
        root = parsed(topology.render(TopologyView(nodes=nodes, links=links, description="cluster"), narrow=narrow))
        assert sum("link" in (p.get("class") or "") for p in root.iter("path")) == len(pairs)


def test_pieces() -> None:
    assert str(el("text", Markup("a"), class_="<x>")) == '<text class="&lt;x&gt;">a</text>'
    assert ticks(0, 18, 6) == [0, 5, 10, 15]
    assert ticks(3, 3, 5) == [3]
    assert clipped("short", 100) == "short"
    cut = clipped("a long label that cannot fit", 80)
    assert cut.endswith("…") and width_of(cut) <= 90
    placed = spread([10, 11, 12], 5, 0, 20)
    assert all(b - a >= 5 for a, b in itertools.pairwise(placed)) and max(placed) <= 20
    lanes = Lanes()
    assert [lanes.place(0, 10), lanes.place(5, 8), lanes.place(11, 12)] == [0, 1, 0] and lanes.rows == 2
    assert polyline([(0.0, 0.0), None, (5.0, 5.0), (6.0, 6.0)]) == "M-1.5,0h3M5,5L6,6"


def test_marks_outside_the_axis_are_left_to_the_witness(model: ReportModel) -> None:
    line: Timeline = model.timelines[1]
    svg = str(timeline.render(line, timeline.scale_of(model.timelines)))
    assert svg.count('class="mark"') == 3  # W1, and two of W2; the final read at 19 s is off the axis


def test_links_between_the_nodes_of_a_layer_run_past_its_other_nodes() -> None:
    for count, narrow in itertools.product((3, 4, 5), (False, True)):
        names = [f"n{i}" for i in range(count)]
        nodes = tuple(NodeView(name=name, kind="etcd", layer=0, rank=i) for i, name in enumerate(names))
        links = tuple(
            LinkView(id=f"{a}->{b}:1", source=a, destination=b, port=1) for a, b in itertools.permutations(names, 2)
        )
        view = TopologyView(nodes=nodes, links=links, description="")
        places, width, height = topology._places(view, narrow)
        for x, y in places.values():
            assert 62 <= x <= width - 62 and 23 <= y <= height - 23
        for a, b in itertools.combinations(names, 2):
            (x1, y1), (x2, y2) = places[a], places[b]
            for other in set(names) - {a, b}:
                x, y = places[other]
                away = abs((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)) / math.hypot(x2 - x1, y2 - y1)
                assert away > 20, (count, narrow, a, b, other)
