"""The original's own client, `toxiproxy-cli`, drives both servers: what it prints, and what then is so."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from chaoskit.runtimes.real_toxiproxy import find_server, made_folder

pytestmark = pytest.mark.needs("toxiproxy")


@pytest.fixture
def cli(toxiproxy_server, client):
    """Run one of its commands against the server; what it printed."""
    beside = Path(find_server()).with_name("toxiproxy-cli")
    program = next((str(path) for path in (beside, made_folder() / "toxiproxy-cli") if os.access(path, os.X_OK)), None)
    program = program or shutil.which("toxiproxy-cli")
    if program is None:
        pytest.skip("there is a toxiproxy-server, but no toxiproxy-cli beside it")

    def run(*words: str) -> str:
        done = subprocess.run(
            [program, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=20,
            env={**os.environ, "TOXIPROXY_URL": toxiproxy_server.url},
        )
        return done.stdout

    return run


def test_proxies_come_and_go(cli, client, wire):
    assert "Created new proxy p" in cli("create", "-l", wire.own_text(), "-u", "127.0.0.1:9", "p")
    made = client.get("p")
    listed = cli("list").split()
    assert listed[:4] == ["p", made.listen, "127.0.0.1:9", "enabled"]
    assert "now disabled" in cli("toggle", "p")
    assert not client.get("p").enabled
    assert "now enabled" in cli("toggle", "p")
    assert client.get("p") == made
    assert "Deleted proxy p" in cli("delete", "p")
    assert client.proxies() == {}


def test_toxics_come_and_go(cli, client):
    client.create("p", listen="127.0.0.1:0", upstream="127.0.0.1:9")
    add = ("toxic", "add", "-t", "latency", "-n", "slow", "-tox", "0.5", "-a", "latency=100", "-a", "jitter=50", "p")
    assert "Added downstream latency toxic 'slow' on proxy 'p'" in cli(*add)
    toxic = client.get_toxic("p", "slow")
    assert (toxic.attributes, toxic.toxicity) == ({"latency": 100, "jitter": 50}, 0.5)
    assert "Updated toxic 'slow'" in cli("toxic", "update", "-n", "slow", "-a", "jitter=25", "p")
    changed = client.get_toxic("p", "slow")
    assert changed.attributes == {"latency": 100, "jitter": 25}
    assert "Added upstream bandwidth toxic" in cli("toxic", "add", "-t", "bandwidth", "-a", "rate=7", "-u", "p")
    shown = cli("inspect", "p")
    assert "slow" in shown
    assert "jitter=25" in shown
    assert "bandwidth_upstream" in shown
    assert "Removed toxic 'slow'" in cli("toxic", "remove", "-n", "slow", "p")
    assert [left.name for left in client.toxics("p")] == ["bandwidth_upstream"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("inspect", "nobody"), "proxy not found"),
        (("delete", "nobody"), "proxy not found"),
        (("create", "-l", "foo", "-u", "x:1", "q"), "missing port in address"),
        (("create", "-l", "127.0.0.1:0", "-u", "x:1", "p"), "proxy already exists"),
        (("toxic", "add", "-t", "unheard-of", "p"), "invalid toxic type"),
        (("toxic", "remove", "-n", "none", "p"), "toxic not found"),
    ],
)
def test_errors_reach_the_user(cli, client, words, message):
    client.create("p", listen="127.0.0.1:0", upstream="127.0.0.1:9")
    assert message in cli(*words)
