"""Which Host headers are answered: addresses and names of this server, never a name somebody pointed at it."""

from __future__ import annotations

import socket

import pytest

from chaoskit.toxiproxy.server.hosts import Hosts

EVIL = ["evil.example", "evil.example:8474", "127.0.0.1.evil.example", "localhost.evil.example:80", "x", "0"]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "localhost",
        "LocalHost:8474",
        "localhost.:1",
        "127.0.0.1:8474",
        "127.3.4.5",
        "[::1]:8474",
        "[::ffff:127.0.0.1]",
    ],
)
def test_loopback_is_always_answered(header):
    assert Hosts("127.0.0.1", "127.0.0.1").allow(header)
    assert Hosts("10.1.2.3", "10.1.2.3").allow(header)
    assert Hosts("::").allow(header)


@pytest.mark.parametrize("header", [*EVIL, "10.1.2.3", "10.1.2.3:80", "[2001:db8::1]:80"])
def test_on_loopback_nothing_else_is(header):
    assert not Hosts("127.0.0.1", "localhost").allow(header)


def test_the_address_bound_and_the_name_asked_for_are_answered():
    hosts = Hosts("10.1.2.3", "proxy.internal", ["Other.Name"])
    for header in ("10.1.2.3:8474", "proxy.internal:8474", "PROXY.internal", "other.name"):
        assert hosts.allow(header)
    for header in (*EVIL, "10.1.2.4", "sub.proxy.internal"):
        assert not hosts.allow(header)


@pytest.mark.parametrize("bound", ["::", "0.0.0.0"])
def test_who_listens_everywhere_is_reached_by_any_address_but_not_by_any_name(bound):
    hosts = Hosts(bound, bound)
    for header in ("10.9.8.7:8474", "[2001:db8::1]:80", socket.gethostname()):
        assert hosts.allow(header)
    for header in EVIL:
        assert not hosts.allow(header)
