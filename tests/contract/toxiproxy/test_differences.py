"""Where the embedded server answers otherwise on purpose: each difference shown on both servers, and why it is there.

docs/toxiproxy.md has the table of these marks; `test_differences_page.py` writes and compares it. A difference that is
not seen any more, on either server, fails its test here.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import struct
import time

import pytest

from chaoskit.stack.effects import Toxic
from chaoskit.toxiproxy.client import Client, ToxiproxyError

SOON = 0.4  # seconds: what has not come by then has not come "at once"


@pytest.fixture
def api(toxiproxy_server, client):
    return Api(toxiproxy_server)


class Api:
    """Requests as they are, past our client's own checks."""

    def __init__(self, server) -> None:
        self.server = server

    def __call__(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=20)
        try:
            text = json.dumps(body) if isinstance(body, dict | list) else body
            connection.request(method, path, text, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


@pytest.fixture
def own(own_server, wire):
    """A link of the test's own through `own_server`: (API, a function that gives both ends of a connection)."""
    api = Api(own_server)
    address, upstream = wire.own_address(), wire.own_address()
    with socket.create_server(upstream) as listener:
        listener.settimeout(20)
        body = {"name": "p", "listen": wire.text(address), "upstream": wire.text(upstream)}
        assert api("POST", "/proxies", body)[0] == 201
        ends = []

        def pair() -> tuple[socket.socket, socket.socket]:
            near = socket.create_connection(address, 20)
            ends.append(near)
            far, _ = listener.accept()
            far.settimeout(20)
            ends.append(far)
            return near, far

        yield api, pair
        for end in ends:
            end.close()


# What ends the original


@pytest.mark.parametrize(
    ("kind", "attributes", "stays"),
    [
        pytest.param(
            "slicer",
            {},
            b"some bytes",
            marks=pytest.mark.differs(
                "`slicer` without an `average_size` (the default)",
                original="dies at the first byte: it cuts without end",
                embedded="cuts nothing, all passes",
                why="a test's server must not die of an empty object",
            ),
        ),
        pytest.param(
            "bandwidth",
            {"rate": -1},
            b"",
            marks=pytest.mark.differs(
                "`bandwidth` with a negative `rate`",
                original="dies at the first byte",
                embedded="nothing passes, as with a rate of 0",
                why="one client's mistake must not take everybody's links away",
            ),
        ),
    ],
)
def test_values_that_end_the_original(own, own_server, wire, expected, kind, attributes, stays):
    api, pair = own
    near, far = pair()
    assert api("POST", "/proxies/p/toxics", {"type": kind, "attributes": attributes})[0] == 200
    far.sendall(b"some bytes")
    if expected(original="dead", embedded="alive") == "dead":
        assert own_server.process.wait(20) != 0
    else:
        assert wire.receive(near, len(stays)) == stays
        assert stays or wire.silent(near, SOON)
        assert own_server.process.poll() is None


@pytest.mark.differs(
    "`slicer` with a `size_variation` of its `average_size` or more",
    original="dies as soon as a cut falls outside its piece",
    embedded="moves the cut to the edge of its piece",
    why="as above",
)
def test_a_variation_larger_than_the_size(own, own_server, wire, expected):
    api, pair = own
    near, far = pair()
    assert api(
        "POST", "/proxies/p/toxics", {"type": "slicer", "attributes": {"average_size": 1, "size_variation": 900}}
    )
    sent = bytes(range(250)) * 8
    alive = expected(original=False, embedded=True)
    for _ in range(200):  # the original dies of one unlucky roll of the dice
        try:
            far.sendall(sent)
            assert wire.receive(near, len(sent)) == sent
        except (AssertionError, OSError):
            break
    else:
        assert alive
        return
    assert not alive
    assert own_server.process.wait(20) != 0


# What keeps the original waiting


@pytest.mark.differs(
    "DELETE of a `reset_peer` that waits for its `timeout`",
    original="answers when the timeout is over",
    embedded="answers at once; the connection is reset at once",
    why="healing must never wait for the fault",
)
def test_removing_a_toxic_that_waits(own, expected):
    api, pair = own
    api("POST", "/proxies/p/toxics", {"type": "reset_peer", "name": "t", "attributes": {"timeout": 3000}})
    _, far = pair()
    far.sendall(b"x")
    time.sleep(0.3)
    began = time.monotonic()
    assert api("DELETE", "/proxies/p/toxics/t")[0] == 204
    assert (time.monotonic() - began < 1.5) is expected(original=False, embedded=True)


@pytest.mark.differs(
    "Disabling or deleting a proxy whose upstream does not answer the dial",
    original="waits until the dial is over, and serves no other request meanwhile that wants the proxy",
    embedded="answers at once",
    why="dials are made beside the accept loop, so that a dead upstream holds nobody up",
)
def test_an_upstream_that_does_not_answer(own_server, wire, expected):
    address, upstream = wire.own_address(), wire.own_address()
    with (
        socket.socket() as deaf,
        contextlib.ExitStack() as fillers,
        Client(own_server.url, timeout=2.0) as client,
    ):
        deaf.bind(upstream)
        deaf.listen(0)
        for _ in range(4):  # with the backlog full, the kernel drops further handshakes
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(upstream)
        client.create("p", listen=wire.text(address), upstream=wire.text(upstream))
        with socket.create_connection(address, 20):
            time.sleep(0.3)
            if expected(original="waits", embedded="at once") == "at once":
                assert not client.update("p", enabled=False).enabled
            else:
                with pytest.raises(ToxiproxyError, match="no answer"):
                    client.update("p", enabled=False)


@pytest.mark.differs(
    "PATCH of a `latency` while data waits",
    original="sends at once what waits longest",
    embedded="times what waits anew, as if the new value had been there when it came",
    why="a longer delay must not begin with an answer that is not delayed",
)
def test_an_update_while_data_waits(link, wire, expected):
    link.add("latency", latency=60_000)
    near, far = link.pair()
    far.sendall(b"x")
    time.sleep(0.2)
    now = link.client.get_toxic(link.name, "t")
    link.client.update_toxic(link.name, now, attributes={"latency": 50_000})
    assert wire.silent(near, SOON) is expected(original=False, embedded=True)


@pytest.mark.differs(
    "More than 1,024 reads that wait in a `latency`",
    original="reads no more until the first of them leaves: what comes then is delayed by up to twice as much",
    embedded="holds up to 16 MiB of reads, however small they are, each for as long as was asked",
    why="many small messages must not be later than a few large ones",
)
def test_many_reads_that_wait(link, wire, expected):
    # Cut into single bytes, one write is as many reads for the toxic behind.
    link.add("slicer", "cut", average_size=1)
    link.add("latency", latency=700)
    near, far = link.pair()
    far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    many = b"x" * 1500
    for data in (many, b"a", b"b", b"c"):  # the original has two more reads in its hands
        far.sendall(data)
        time.sleep(0.05)
    assert wire.receive(near, len(many) + 1).endswith(b"a")
    began = time.monotonic()
    assert wire.receive(near, 2) == b"bc"
    assert (time.monotonic() - began > 0.35) is expected(original=True, embedded=False)


# What hits others


@pytest.mark.differs(
    "Which connections a toxicity below 1 takes",
    original="rolled anew whenever the toxic, or the one after it, changes; from an unseeded source",
    embedded="one roll for each connection, kept, from `-seed`; a raised toxicity only adds connections",
    why="a run can be repeated, and a change of the delay does not change who is hit",
)
def test_rolls_of_the_dice(link, wire, expected):
    pairs = [link.pair() for _ in range(24)]
    link.add("timeout", toxicity=0.5, timeout=0)

    def heard() -> list[bool]:
        for _, far in pairs:
            far.sendall(b"x")
        time.sleep(SOON)
        found = [not wire.silent(near, 0) for near, _ in pairs]
        for (near, _), came in zip(pairs, found, strict=True):
            if came:
                near.recv(10)
        return found

    before = heard()
    for _ in range(3):
        link.client.update_toxic(link.name, link.client.get_toxic(link.name, "t"))
    assert (heard() == before) is expected(original=False, embedded=True)


@pytest.mark.differs(
    "Removing a `timeout`",
    original="closes every open connection of the proxy",
    embedded="closes the connections that it acted on",
    why="who was spared by the toxicity noticed nothing, and shall not notice the healing",
)
def test_removing_a_timeout_that_spares(link, wire, expected):
    link.add("timeout", toxicity=0.0, timeout=0)
    near, far = link.pair()
    link.client.remove_toxic(link.name, "t")
    far.sendall(b"x")
    assert wire.silent(near, SOON) is False
    assert near.recv(1) == expected(original=b"", embedded=b"x")


@pytest.mark.differs(
    "`reset_peer` with a toxicity that spares a connection",
    original="ends it with RST all the same, and data under way is lost",
    embedded="closes it as it was closed",
    why="a spared connection is a spared connection",
)
def test_a_reset_that_spares(api, link, wire, expected):
    body = {"type": "reset_peer", "name": "t", "toxicity": 0}
    assert api("POST", f"/proxies/{link.name.replace('>', '%3E')}/toxics", body)[0] == 200
    near, far = link.pair()
    far.close()
    assert wire.ending(near) == expected(original="rst", embedded="fin")


@pytest.mark.differs(
    "`reset_peer` on a connection that was open before",
    original="ends with FIN",
    embedded="ends with RST",
    why="a reset is what was asked for",
)
def test_a_reset_of_what_was_open_before(link, wire, expected):
    near, far = link.pair()
    link.add("reset_peer", timeout=0)
    far.sendall(b"x")
    assert wire.ending(near) == expected(original="fin", embedded="rst")


@pytest.mark.differs(
    "POST /reset with a proxy that cannot listen",
    original="stops there: that proxy keeps its toxics, and so do all that it has not come to",
    embedded="heals all others, removes its toxics too, and then answers the same 500",
    why="one taken port must not keep other links bent",
)
def test_reset_past_a_proxy_that_cannot_listen(api, expected):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        api("POST", "/proxies", {"name": "p", "upstream": "x", "listen": listen, "enabled": False})
        api("POST", "/proxies/p/toxics", {"type": "noop"})
        status, body = api("POST", "/reset")
        assert (status, "address already in use" in body) == (500, True)
        left = json.loads(api("GET", "/proxies/p")[1])["toxics"]
        assert len(left) == expected(original=1, embedded=0)


# What is bounded


@pytest.mark.differs(
    "A Host header with a name that nobody here goes by",
    original="200",
    embedded="403, unless it is localhost, the address bound, or a name given with `-allow-host`",
    why="else a web page could drive it through a visitor's browser (DNS rebinding)",
)
def test_foreign_names(api, expected):
    assert api("GET", "/proxies", headers={"Host": "evil.example"})[0] == expected(original=200, embedded=403)


@pytest.mark.differs(
    "The size of a request",
    original="no limit",
    embedded="413 past 4 MiB",
    why="memory is bounded whatever a client sends",
)
def test_large_bodies(api, expected):
    limit = 4 << 20
    try:
        status = api("POST", "/proxies", " " * (limit + 1))[0]
    except OSError:  # closed before all of it was sent
        status = 413
    assert status == expected(original=400, embedded=413)


@pytest.mark.differs(
    "Names and addresses of more than 1,024 characters",
    original="taken",
    embedded="400",
    why="as above",
)
def test_long_names(api, expected):
    body = {"name": "n" * 1025, "upstream": "x", "enabled": False}
    assert api("POST", "/proxies", body)[0] == expected(original=201, embedded=400)


@pytest.mark.differs(
    "More than 100 toxics on one proxy",
    original="200",
    embedded="400",
    why="every byte passes all of them",
)
def test_many_toxics(api, expected):
    api("POST", "/proxies", {"name": "p", "upstream": "x", "enabled": False})
    made = [api("POST", "/proxies/p/toxics", {"type": "noop", "name": f"t{number}"})[0] for number in range(101)]
    assert made == [200] * 100 + [expected(original=200, embedded=400)]


@pytest.mark.differs(
    "More than 100 connections to the control port",
    original="kept until they are idle for a minute",
    embedded="the one that has been idle longest is closed",
    why="who comes to heal must find an open door",
)
def test_many_control_connections(toxiproxy_server, wire, expected):
    address = (toxiproxy_server.host, toxiproxy_server.port)
    idle = [socket.create_connection(address, 20) for _ in range(130)]
    try:
        with Client(toxiproxy_server.url, timeout=20) as late:
            assert late.version()
        assert wire.silent(idle[0], SOON) is expected(original=True, embedded=False)
        assert wire.silent(idle[-1], 0)
    finally:
        for sock in idle:
            sock.close()


# Ours alone


@pytest.mark.differs(
    "`blackhole`, a toxic of our own",
    original="400 `invalid toxic type`",
    embedded="nothing comes through in its direction until it is removed: no data, no end, no reset, no connect",
    why="`timeout` with 0 lets a FIN through, so it is no pulled cable",
)
def test_the_toxic_of_our_own(api, expected):
    api("POST", "/proxies", {"name": "p", "upstream": "x", "enabled": False})
    status = api("POST", "/proxies/p/toxics", {"type": "blackhole"})[0]
    assert status == expected(original=400, embedded=200)


@pytest.mark.differs(
    "GET /chaoskit/counters, a page of our own",
    original="404",
    embedded="bytes, connections and hits of each toxic, by proxy",
    why="evidence that a fault has bitten",
)
def test_the_page_of_our_own(api, expected):
    assert api("GET", "/chaoskit/counters")[0] == expected(original=404, embedded=200)


def test_linger_is_what_these_tests_think_it_is():
    """A close with SO_LINGER 0 is seen as a reset: else "rst" and "fin" above would say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname(), 20)
        far, _ = listener.accept()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()
        with pytest.raises(ConnectionResetError):
            near.recv(1)
        near.close()


def test_a_refusal_of_our_client_is_about_what_the_original_does():
    """What is refused before it is sent is in the table above: the client knows it from the same place."""
    with Client("http://127.0.0.1:1", timeout=0.2) as client:
        for toxic in (
            Toxic(name="t", type="slicer"),
            Toxic(name="t", type="bandwidth", attributes={"rate": -1}),
            Toxic(name="t", type="slicer", attributes={"average_size": 1, "size_variation": 1}),
            Toxic(name="t", type="reset_peer", toxicity=0.0),
        ):
            with pytest.raises(ToxiproxyError, match="not sent"):
                client.add_toxic("p", toxic)
