"""bandwidth: so many bytes a second and no more, for each connection by itself."""

from __future__ import annotations

import threading
import time

import pytest

KB = 1000


def flood(sock, size: int) -> threading.Thread:
    """Send so many zeros from a thread; a connection that is closed before ends it."""

    def send() -> None:
        try:
            sock.sendall(bytes(size))
        except OSError:
            pass

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_never_more_than_asked_and_not_much_less(link, wire, stream):
    link.add("bandwidth", stream=stream, rate=500)
    near, far = link.pair()
    source, target = (near, far) if stream == "upstream" else (far, near)
    sender = flood(source, 700 * KB)
    wire.receive(target, 100 * KB)
    start = time.monotonic()
    wire.receive(target, 500 * KB)
    took = time.monotonic() - start
    link.client.remove_toxic(link.name, "t")
    wire.receive(target, 100 * KB)
    sender.join()
    # What was under way when the clock was started may be a slice of a tenth of a second.
    assert 0.85 <= took <= 3.0


def test_each_connection_has_it_for_itself(link, wire):
    link.add("bandwidth", rate=200)
    pairs = [link.pair() for _ in range(5)]
    start = time.monotonic()
    senders = [flood(far, 100 * KB) for _, far in pairs]
    for near, _ in pairs:
        wire.receive(near, 100 * KB)
    took = time.monotonic() - start
    for sender in senders:
        sender.join()
    assert 0.45 <= took < 2.4  # one after the other would be 2.5


def test_a_read_that_is_long_for_the_rate_comes_in_slices(link, wire):
    link.add("bandwidth", rate=10)
    near, far = link.pair()
    far.sendall(bytes(4 * KB))
    sizes = []
    while sum(sizes) < 4 * KB:
        sizes.append(len(near.recv(1 << 16)))
    assert max(sizes) <= 2 * KB  # a slice is 1,000 bytes; two may come together when the reader is late
    assert len(sizes) >= 2


def test_the_end_follows_the_data(link, wire):
    link.add("bandwidth", rate=10)
    near, far = link.pair()
    start = time.monotonic()
    far.sendall(bytes(5 * KB))
    far.close()
    assert len(wire.drain(near)) == 5 * KB
    assert time.monotonic() - start >= 0.45


def test_zero_lets_nothing_pass_until_it_is_raised(link, wire):
    # Our client refuses to send a rate of zero; others do, so that it is lowered to that by hand here.
    link.add("bandwidth", rate=1)
    near, far = link.pair()
    post(link, {"attributes": {"rate": 0}})
    far.sendall(b"held")
    assert wire.silent(near)
    post(link, {"attributes": {"rate": 1000}})
    assert wire.receive(near, 4) == b"held"


@pytest.mark.usefixtures("embedded")
@pytest.mark.parametrize("rate", [-1, -(1 << 62)])
def test_less_than_zero_counts_as_zero(link, wire, rate):
    link.add("bandwidth", rate=1)
    near, far = link.pair()
    post(link, {"attributes": {"rate": rate}})
    far.sendall(b"held")
    assert wire.silent(near)
    link.client.remove_toxic(link.name, "t")
    assert wire.receive(near, 4) == b"held"


def test_removing_it_sends_on_at_once_and_in_order_what_it_held(link, wire):
    link.add("bandwidth", rate=1)
    near, far = link.pair()
    blob = b"".join(number.to_bytes(4, "big") for number in range(40_000))
    sender = threading.Thread(target=far.sendall, args=(blob,))
    sender.start()
    time.sleep(0.3)
    link.client.remove_toxic(link.name, "t")
    assert wire.receive(near, len(blob)) == blob  # which would have taken three minutes
    sender.join()


@pytest.mark.usefixtures("embedded")
def test_a_new_rate_holds_at_once_for_what_is_under_way(link, wire):
    toxic = link.add("bandwidth", rate=1)
    near, far = link.pair()
    far.sendall(bytes(100 * KB))
    assert len(wire.receive(near, 1)) == 1
    start = time.monotonic()
    link.client.update_toxic(link.name, toxic, attributes={"rate": 200})
    wire.receive(near, 99 * KB)
    assert 0.4 <= time.monotonic() - start < 30


@pytest.mark.usefixtures("embedded")
def test_hits_are_reads_that_had_to_wait(link, wire):
    link.add("bandwidth", rate=1000)
    near, far = link.pair()
    for _ in range(5):
        assert wire.round_trip(near, far) < 20  # a byte is no burden for a megabyte a second
    assert link.client.counters()[link.name].hits == {"t": 0}
    far.sendall(bytes(50 * KB))
    wire.receive(near, 50 * KB)
    assert link.client.counters()[link.name].hits["t"] >= 1


def post(link, body: dict) -> None:
    """Change the toxic past the checks of our own client."""
    import httpx

    answer = httpx.post(f"{link.client.url}/proxies/{link.name}/toxics/t", json=body)
    assert answer.status_code == 200, answer.text
