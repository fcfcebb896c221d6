"""How a link gets from one state to another: against a small model of a server that appends, removes and refuses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chaoskit.stack.effects import LinkState, Toxic
from chaoskit.toxiproxy.flows import Reply
from chaoskit.toxiproxy.links import _apply, server_argv
from chaoskit.toxiproxy.model import same_toxics

TOXICS = st.builds(
    Toxic,
    name=st.sampled_from("abcde"),
    type=st.sampled_from(["latency", "timeout", "noop"]),
    stream=st.sampled_from(["upstream", "downstream"]),
    toxicity=st.sampled_from([1.0, 0.5, 0.1]),
).flatmap(
    lambda toxic: st.integers(0, 3).map(
        lambda value: toxic.model_copy(
            update={"attributes": {} if toxic.type == "noop" or value == 0 else {toxic.type: value}}
        )
    )
)
STATES = st.builds(
    LinkState,
    enabled=st.booleans(),
    toxics=st.lists(TOXICS, max_size=5, unique_by=lambda toxic: toxic.name).map(tuple),
)


class ModelServer:
    """What the REST API does to one proxy; `seen` is its state after every change."""

    def __init__(self, state: LinkState) -> None:
        self.state = state
        self.seen: list[LinkState] = []

    def __call__(self, request) -> Reply:
        parts = request.path.split("/")
        toxics = list(self.state.toxics)
        if request.method == "GET":
            return Reply(200, self.proxy())
        if len(parts) == 3:
            self.set(enabled=request.body["enabled"])
            return Reply(200, self.proxy())
        if request.method == "POST":
            assert request.body["name"] not in [toxic.name for toxic in toxics], "the server would answer 409"
            toxics.append(Toxic.model_validate(request.body))
            self.set(toxics=tuple(toxics))
            return Reply(200, request.body)
        at = next(number for number, toxic in enumerate(toxics) if toxic.name == parts[-1])
        if request.method == "DELETE":
            del toxics[at]
            self.set(toxics=tuple(toxics))
            return Reply(204, None)
        merged = {**toxics[at].attributes, **request.body["attributes"]}
        toxics[at] = toxics[at].model_copy(update={"attributes": merged, "toxicity": request.body["toxicity"]})
        self.set(toxics=tuple(toxics))
        return Reply(200, toxics[at].model_dump())

    def set(self, **changes) -> None:
        self.state = self.state.model_copy(update=changes)
        self.seen.append(self.state)

    def proxy(self) -> dict:
        dumped = [toxic.model_dump() for toxic in self.state.toxics]
        return {"name": "l", "listen": "x:1", "upstream": "u:1", "enabled": self.state.enabled, "toxics": dumped}


def change(before: LinkState, after: LinkState) -> ModelServer:
    server = ModelServer(before)
    flow = _apply("l", after, None)
    try:
        request = next(flow)
        while True:
            request = flow.send(server(request))
    except StopIteration as end:
        read = end.value
    assert same_toxics(after.toxics, read.toxics)
    assert read.enabled == after.enabled
    return server


@given(before=STATES, after=STATES)
def test_every_state_is_reached_and_connections_never_see_it_half_done(before, after):
    server = change(before, after)
    assert server.state.enabled == after.enabled
    assert same_toxics(after.toxics, server.state.toxics)
    if not (before.enabled and after.enabled):
        # A link that is or will be closed is never open on the way, save as its first or last state.
        assert all(not state.enabled for state in server.seen[:-1])


@given(state=STATES)
def test_nothing_is_done_when_nothing_differs(state):
    assert change(state, state).seen == []


@given(before=STATES, after=STATES)
def test_what_stays_is_never_taken_out(before, after):
    """Toxics common to both, in the same order and at the head of both chains, act at every instant."""
    common = []
    for old, new in zip(before.toxics, after.toxics, strict=False):
        if (old.name, old.type, old.stream) != (new.name, new.type, new.stream):
            break
        common.append(old.name)
    for state in change(before, after).seen:
        assert set(common) <= {toxic.name for toxic in state.toxics}


def test_the_new_fault_is_there_before_the_old_one_goes():
    slow, lost = Toxic(name="slow", type="latency"), Toxic(name="lost", type="timeout")
    server = change(LinkState(toxics=(slow,)), LinkState(toxics=(lost,)))
    assert all(state.toxics for state in server.seen)


def test_attributes_that_are_left_out_go_back_to_zero():
    before = Toxic(name="a", type="latency", attributes={"latency": 5, "jitter": 3})
    server = change(
        LinkState(toxics=(before,)), LinkState(toxics=(Toxic(name="a", type="latency", attributes={"latency": 7}),))
    )
    assert server.state.toxics[0].attributes == {"latency": 7, "jitter": 0}


def test_the_arguments_of_the_server():
    argv = server_argv("127.0.0.1", 8474, "/tmp/a b/lag.jsonl", 7)
    assert argv[1:] == (
        "-m", "chaoskit.toxiproxy.server", "--host", "127.0.0.1", "--port", "8474",
        "--lag-file", "/tmp/a b/lag.jsonl", "--seed", "7",
    )  # fmt: skip
    assert "--seed" not in server_argv("127.0.0.1", 8474, None, None)
