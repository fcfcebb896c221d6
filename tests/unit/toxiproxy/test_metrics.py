"""What /metrics says: counters that never fall, whatever becomes of the proxies, and text that Prometheus can read."""

from __future__ import annotations

import re

import pytest

from chaoskit.toxiproxy.server.metrics import Metrics
from chaoskit.toxiproxy.server.proxies import Proxies
from chaoskit.toxiproxy.server.timers import Timers

SAMPLE = re.compile(r'[a-z_]+(\{([a-z]+="([^"\\\n]|\\["\\n])*",?)*\})? [0-9.e+]+')


@pytest.fixture
def proxies():
    return Proxies(Timers.__new__(Timers), "1")


def add(proxies, name, listen="127.0.0.1:1", upstream="u:1"):
    proxy = proxies.make(name, listen, upstream)
    proxies.by_name[name] = proxy
    proxy.accepted = 1
    return proxy


def samples(metrics) -> dict[str, float]:
    found = {}
    for line in metrics.text().decode().splitlines():
        if not line.startswith("# "):
            assert SAMPLE.fullmatch(line), line
            key, _, value = line.rpartition(" ")
            found[key] = float(value)
    return found


def key(what, direction, name="p", listen="127.0.0.1:1", upstream="u:1"):
    labels = f'direction="{direction}",listener="{listen}",proxy="{name}",upstream="{upstream}"'
    return f"toxiproxy_proxy_{what}_bytes_total{{{labels}}}"


def test_bytes_by_direction(proxies):
    metrics = Metrics(proxies, of_proxies=True, of_runtime=False)
    assert metrics.text() == b""
    proxy = add(proxies, "p")
    proxy.flows[0].received, proxy.flows[1].sent = 5, 7
    assert samples(metrics) == {
        key("received", "upstream"): 5,
        key("received", "downstream"): 0,
        key("sent", "upstream"): 0,
        key("sent", "downstream"): 7,
    }
    text = metrics.text().decode()
    assert "# HELP toxiproxy_proxy_received_bytes_total \n# TYPE toxiproxy_proxy_received_bytes_total counter\n" in text


def test_a_counter_never_falls(proxies):
    metrics = Metrics(proxies, of_proxies=True, of_runtime=False)
    proxy = add(proxies, "p")
    proxy.flows[0].received = 5
    metrics.settle()
    proxy.upstream = "other:2"
    metrics.settle()
    proxy.flows[0].received = 9
    metrics.settle()
    del proxies.by_name["p"]
    metrics.settle()
    again = add(proxies, "p")
    again.flows[0].received = 1
    found = samples(metrics)
    assert found[key("received", "upstream")] == 6
    assert found[key("received", "upstream", upstream="other:2")] == 4


def test_labels_of_all_kinds_are_readable(proxies):
    metrics = Metrics(proxies, of_proxies=True, of_runtime=False)
    add(proxies, 'a"b\\c\nd', upstream="ü:1")
    assert len(samples(metrics)) == 4
    assert 'proxy="a\\"b\\\\c\\nd"' in metrics.text().decode()


def test_figures_of_the_process(proxies):
    found = samples(Metrics(proxies, of_proxies=False, of_runtime=True))
    assert found["process_cpu_seconds_total"] > 0
    assert found["process_resident_memory_bytes"] > 1e6
    assert 3 <= found["process_open_fds"] <= found["process_max_fds"]
    assert found["process_start_time_seconds"] > 1.6e9
    assert any(name.startswith("python_info{") for name in found)


def test_nothing_is_counted_that_is_not_asked_for(proxies):
    metrics = Metrics(proxies, of_proxies=False, of_runtime=False)
    add(proxies, "p").flows[0].received = 5
    assert not metrics.wanted
    assert metrics.text() == b""
