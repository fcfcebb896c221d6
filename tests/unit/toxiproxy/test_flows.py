"""The verbs against replies that a test makes up: lies, nonsense and errors are all one kind of error."""

from __future__ import annotations

import pytest

from chaoskit.errors import ExitCode, LinkError
from chaoskit.stack.effects import Toxic
from chaoskit.stack.launch import ProxySpec
from chaoskit.toxiproxy import flows
from chaoskit.toxiproxy.flows import Reply, Request, ToxiproxyError
from chaoskit.toxiproxy.model import Proxy

PROXY = {"name": "p", "listen": "127.0.0.1:5", "upstream": "u:1", "enabled": True, "Logger": {}, "toxics": []}
TOXIC = {
    "name": "t",
    "type": "latency",
    "stream": "downstream",
    "toxicity": 1,
    "attributes": {"latency": 5, "jitter": 0},
}
SLOW = Toxic(name="t", type="latency", attributes={"latency": 5})


def run(flow, *replies):
    """Requests made, and the result."""
    requests, waiting = [], list(replies)
    try:
        request = next(flow)
        while True:
            requests.append(request)
            request = flow.send(waiting.pop(0))
    except StopIteration as end:
        assert waiting == []
        return requests, end.value


def test_names_are_quoted():
    requests, _ = run(flows.get_toxic("api->db:5432", "a b?"), Reply(200, TOXIC))
    assert requests == [Request("GET", "/proxies/api-%3Edb%3A5432/toxics/a%20b%3F")]


def test_updates_are_patches_and_are_read_back():
    requests, read = run(flows.update("p", enabled=False), Reply(200, PROXY), Reply(200, {**PROXY, "enabled": False}))
    assert [(request.method, request.body) for request in requests] == [("PATCH", {"enabled": False}), ("GET", None)]
    assert read.enabled is False


@pytest.mark.parametrize(
    ("flow", "answer", "read"),
    [
        (flows.update("p", enabled=False), PROXY, PROXY),
        (flows.create("p", listen="127.0.0.1:5", upstream="u:1"), PROXY, {**PROXY, "upstream": "x:1"}),
        (flows.create("p", listen="127.0.0.1:6", upstream="u:1"), PROXY, PROXY),
        (flows.create("p", listen="127.0.0.2:5", upstream="u:1"), PROXY, PROXY),
        (flows.delete("p"), None, {"p": PROXY}),
        (flows.add_toxic("p", SLOW), TOXIC, {**TOXIC, "attributes": {"latency": 6, "jitter": 0}}),
        (flows.add_toxic("p", SLOW), TOXIC, {**TOXIC, "attributes": {"latency": 5, "jitter": 1}}),
        (flows.add_toxic("p", SLOW), TOXIC, {**TOXIC, "toxicity": 0.5}),
        (flows.add_toxic("p", SLOW), TOXIC, {**TOXIC, "stream": "upstream"}),
        (flows.add_toxic("p", SLOW), TOXIC, {**TOXIC, "type": "noop"}),
        (flows.update_toxic("p", SLOW, toxicity=0.5), TOXIC, TOXIC),
        (flows.remove_toxic("p", "t"), None, [TOXIC]),
        (flows.reset(), None, {"p": {**PROXY, "enabled": False}}),
        (flows.reset(), None, {"p": {**PROXY, "toxics": [TOXIC]}}),
    ],
)
def test_what_reads_back_otherwise_is_an_error(flow, answer, read):
    success = {"create": 201, "delete": 204, "remove_toxic": 204, "reset": 204}
    status = success.get(flow.__name__, 200)
    with pytest.raises(ToxiproxyError, match=r"read back|reads back|still") as caught:
        run(flow, Reply(status, answer), Reply(200, read))
    assert caught.value.status is None
    assert isinstance(caught.value, LinkError)
    assert caught.value.exit_code is ExitCode.INCONCLUSIVE


@pytest.mark.parametrize(
    ("asked", "before", "after", "message"),
    [
        (ProxySpec(name="q", listen="127.0.0.1:5", upstream="u:1"), {}, {"p": PROXY}, "not there"),
        (ProxySpec(name="p", listen="127.0.0.1:5", upstream="u:2"), {}, {"p": PROXY}, "reads back"),
        (Proxy(name="p", listen="127.0.0.1:5", upstream="u:1", enabled=False), {}, {"p": PROXY}, "reads back"),
        (Proxy(name="p", listen="127.0.0.1:5", upstream="u:1", enabled=False), {"p": PROXY}, {"p": PROXY}, None),
    ],
)
def test_what_was_populated_is_read_back_but_what_was_there_may_stay(asked, before, after, message):
    replies = [Reply(200, before), Reply(201, {}), Reply(200, after)]
    if message is None:
        requests, found = run(flows.populate([asked]), *replies)
        assert requests[1].body == [{"name": "p", "listen": "127.0.0.1:5", "upstream": "u:1", "enabled": False}]
        assert found["p"].enabled
    else:
        with pytest.raises(ToxiproxyError, match=message):
            run(flows.populate([asked]), *replies)


def test_a_difference_names_what_was_asked_and_what_was_read():
    flow = flows.add_toxic("p", SLOW)
    with pytest.raises(ToxiproxyError, match=r"asked .*'latency': 5.* read .*'latency': 6"):
        run(flow, Reply(200, TOXIC), Reply(200, {**TOXIC, "attributes": {"latency": 6}}))


@pytest.mark.parametrize(
    "body", [None, "text", [], {}, {"name": 1}, {**PROXY, "toxics": [1]}, {**PROXY, "enabled": "maybe"}]
)
def test_nonsense_is_an_error(body):
    with pytest.raises(ToxiproxyError, match="no proxy"):
        run(flows.get("p"), Reply(200, body))
    with pytest.raises(ToxiproxyError):
        run(flows.proxies(), Reply(200, [body]))


@pytest.mark.parametrize("status", [200, 201, 204, 301, 400, 403, 404, 409, 500, 503])
def test_every_other_status_is_an_error_with_its_message(status):
    flow = flows.add_toxic("p", SLOW) if status != 200 else flows.create("p", listen=":1", upstream="u:1")
    with pytest.raises(ToxiproxyError, match="because") as caught:
        run(flow, Reply(status, {"error": "because", "status": status}))
    assert caught.value.status == status


@pytest.mark.parametrize(("body", "version"), [({"version": "2.12.0"}, "2.12.0"), ("2.5.0\n", "2.5.0")])
def test_versions_of_all_ages(body, version):
    assert run(flows.version(), Reply(200, body))[1] == version


def test_metrics_are_text_and_none_where_they_are_not_asked_for():
    assert run(flows.metrics(), Reply(200, "a 1\n"))[1] == "a 1\n"
    assert run(flows.metrics(), Reply(404, "404 page not found\n"))[1] == ""
    with pytest.raises(ToxiproxyError, match="text was expected"):
        run(flows.metrics(), Reply(200, {"a": 1}))


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
def test_names_that_a_path_cannot_carry_are_not_sent(name):
    for flow in (flows.get(name), flows.delete(name), flows.toxics(name), flows.get_toxic("p", name)):
        with pytest.raises(ToxiproxyError, match="cannot be addressed"):
            next(flow)


def test_a_server_that_does_not_count():
    assert run(flows.counters(), Reply(404, "404 page not found\n"))[1] == {}
    with pytest.raises(ToxiproxyError):
        run(flows.counters(), Reply(500, "x"))
    with pytest.raises(ToxiproxyError, match="unexpected"):
        run(flows.counters(), Reply(200, {"p": {"nonsense": 1}}))


@pytest.mark.parametrize(("name", "upstream"), [("", "u:1"), ("a/b", "u:1"), ("p", "")])
def test_proxies_that_cannot_work_are_not_sent(name, upstream):
    with pytest.raises(ToxiproxyError):
        next(flows.create(name, listen=":0", upstream=upstream))
    with pytest.raises(ToxiproxyError):
        next(flows.populate([ProxySpec(name=name, listen=":0", upstream=upstream)]))
