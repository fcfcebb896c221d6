"""Chains of toxics that come, change and go: what is not lossy loses, doubles and moves nothing. In virtual time."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

SAFE = {
    "noop": {},
    "latency": {"latency": 1, "jitter": 1},
    "bandwidth": {"rate": 1},
    "slicer": {"average_size": 1, "size_variation": 1, "delay": 100},
    "slow_close": {"delay": 1},
}
VALUES = st.integers(0, 30)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(1, 400), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 40), st.just(0)),
        st.tuples(st.just("add"), st.sampled_from(sorted(SAFE)), VALUES),
        st.tuples(st.just("remove"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("update"), st.integers(0, 5), VALUES),
        st.tuples(st.just("toxicity"), st.integers(0, 5), st.integers(0, 1)),
        st.tuples(st.just("slow reader"), st.booleans(), st.just(0)),
    ),
    max_size=50,
)


@given(operations=OPERATIONS, ends_early=st.booleans())
def test_what_comes_out_is_what_went_in(new_rig, operations, ends_early):
    rig = new_rig()
    chain, sent, made, paused = [], b"", 0, False
    for number, (what, first, second) in enumerate(operations):
        if what == "ask" and not rig.connection.pipes[0]._ended:
            data = random.Random(len(sent)).randbytes(first)
            sent += data
            rig.ask(data)
        elif what == "wait":
            rig.wait(first)
        elif what == "add":
            made += 1
            values = {name: factor * second for name, factor in SAFE[first].items()}
            chain.append(rig.add(first, f"t{made}", **values))
        elif what == "remove" and chain:
            rig.remove(chain.pop(first % len(chain)))
        elif what == "update" and chain:
            toxic = chain[first % len(chain)]
            rig.update(toxic, **{name: factor * second for name, factor in SAFE[toxic.stage.type].items()})
        elif what == "toxicity" and chain:
            rig.update(chain[first % len(chain)], toxicity=float(second))
        elif what == "slow reader" and first != paused and rig.server.closed is None:
            paused = first
            (rig.connection.server.pause_writing if first else rig.connection.server.resume_writing)()
        if ends_early and number == len(operations) // 2:
            rig.connection.client.eof_received()
    rig.connection.client.eof_received()
    rig.wait(1_000_000)
    for toxic in list(chain):  # a bandwidth of 0 holds for ever; taking it away lets everything go
        rig.remove(toxic)
    assert b"".join(data for _, data in rig.asked) == sent
    assert rig.server.closed == "fin"
    assert rig.timers.pending == 0
    assert [(flow.received, flow.sent) for flow in rig.proxy.flows] == [(len(sent), len(sent)), (0, 0)]


@given(
    operations=OPERATIONS,
    limit=st.integers(0, 2000),
    before=st.sampled_from(sorted(SAFE)),
    behind=st.sampled_from(sorted(SAFE)),
)
def test_a_limit_among_them_passes_a_beginning_of_exactly_its_length(new_rig, operations, limit, before, behind):
    rig = new_rig()
    rig.add(before, "before", **{name: factor * 3 for name, factor in SAFE[before].items()})
    toxic = rig.add("limit_data", "limit", bytes=limit)
    last = rig.add(behind, "behind", **{name: factor * 3 for name, factor in SAFE[behind].items()})
    sent = b""
    for what, first, second in operations:
        if what == "ask":
            data = random.Random(len(sent)).randbytes(first)
            sent += data
            if rig.client.closed is None:
                rig.ask(data)
        elif what == "wait":
            rig.wait(first)
        elif what == "update":
            rig.update(last, **{name: factor * (second + 1) for name, factor in SAFE[behind].items()})
    rig.wait(1_000_000)
    out = b"".join(data for _, data in rig.asked)
    assert out == sent[:limit]
    assert (rig.server.closed == "fin") == (bool(sent) and len(sent) >= limit)
    assert toxic.hits == (1 if rig.server.closed else 0)
