"""How an etcd is set up: what the Compose file says, what follows from the node, what is never the file's to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.errors import EnvironmentFault, TargetError
from chaoskit.linux import Capabilities
from chaoskit.runtimes import process
from chaoskit.runtimes.process import ProcessRuntime
from chaoskit.runtimes.servers import Place, etcd
from chaoskit.stack.compose import load_target

CLUSTER = "n1=http://n1:2380,n2=http://n2:2380"
ENDS = ["--data-dir=/data/member", "--listen-client-urls=http://127.9.0.1:2379"]


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd, "_binary", lambda: Path("/wheel/etcd"))


def setup(
    *command: str, environment: dict[str, str] | None = None, others: tuple[int, ...] = (2380,)
) -> tuple[str, ...]:
    place = Place("n1", "127.9.0.1", 2379, "/data", environment or {}, command=command, others=others)
    return etcd.SERVER.setup(place).argv


def test_a_member_by_variables() -> None:
    """As in a Compose file for the official image; where it listens there would clash with the proxies."""
    listens = {"ETCD_LISTEN_CLIENT_URLS": "http://0.0.0.0:2379", "ETCD_LISTEN_PEER_URLS": "http://0.0.0.0:2380"}
    says = {"ETCD_NAME": "n1", "ETCD_INITIAL_CLUSTER": CLUSTER, "ETCD_ADVERTISE_CLIENT_URLS": "http://n1:2379"}
    argv = setup(environment=listens | says)
    assert argv[:5] == ("/usr/bin/env", "-u", "ETCD_LISTEN_CLIENT_URLS", "-u", "ETCD_LISTEN_PEER_URLS")
    assert list(argv[5:]) == [
        "/wheel/etcd",
        "--unsafe-no-fsync",
        "--initial-advertise-peer-urls=http://n1:2380",
        *ENDS,
        "--listen-peer-urls=http://127.9.0.1:2380",
    ]


@pytest.mark.parametrize("name", [("--name", "n1"), ("--name=n1",), ("-name", "n1"), ()])
def test_a_member_by_flags(name: tuple[str, ...]) -> None:
    given = ("etcd", *name, "--initial-cluster", CLUSTER, "--election-timeout", "500", "--data-dir", "/elsewhere")
    argv = list(setup(*given))
    assert argv[0] == "/wheel/etcd"
    assert ("--name=n1" in argv) == (name in ((), ("--name=n1",)))
    assert "--initial-advertise-peer-urls=http://n1:2380" in argv
    assert "--advertise-client-urls=http://n1:2379" in argv
    assert argv.index("--data-dir=/data/member") > argv.index("/elsewhere")  # of two the later one counts
    assert argv[argv.index("--election-timeout") + 1] == "500"


def test_its_name_in_the_cluster_need_not_be_that_of_the_node() -> None:
    says = {"ETCD_NAME": "infra0", "ETCD_INITIAL_CLUSTER": "infra0=http://n1:2380,infra1=http://n2:2380"}
    assert "--initial-advertise-peer-urls=http://n1:2380" in setup(environment=says)


def test_alone_it_needs_no_second_port() -> None:
    argv = setup(others=())
    assert argv[2:6] == (
        "--name=n1",
        "--initial-cluster=n1=unix://peers:0",
        "--initial-advertise-peer-urls=unix://peers:0",
        "--advertise-client-urls=http://n1:2379",
    )
    assert argv[-1] == "--listen-peer-urls=unix://peers:0"


@pytest.mark.parametrize(
    ("command", "environment", "others", "says"),
    [
        ((), {"ETCD_INITIAL_CLUSTER": "a=http://a:2380"}, (2380,), "n1 is not a member of its own cluster"),
        ((), {"ETCD_NAME": "x", "ETCD_INITIAL_CLUSTER": CLUSTER}, (2380,), "not a member of its own cluster"),
        ((), {"ETCD_INITIAL_CLUSTER": CLUSTER}, (), "no port on which they could reach it"),
        (("etcd", "--config-file", "/etc/etcd.yaml"), {}, (2380,), "settings from a file"),
        (("sh", "-c", "etcd"), {}, (2380,), "cannot be had from the embedded server"),
    ],
)
def test_what_cannot_start_is_said_before(
    command: tuple[str, ...], environment: dict[str, str], others: tuple[int, ...], says: str
) -> None:
    with pytest.raises(TargetError, match=says) as caught:
        setup(*command, environment=environment, others=others)
    assert caught.value.hint


def test_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd, "_binary", lambda: None)
    assert etcd.SERVER.versions() == ()
    with pytest.raises(EnvironmentFault, match="no embedded one is installed"):
        setup()


SHIPPED = Path(__file__).resolve().parents[3] / "targets" / "etcd"


@pytest.mark.parametrize(("file", "size"), [("compose.yaml", 3), ("compose.five.yaml", 5)])
def test_every_pair_of_the_shipped_clusters_has_a_link_of_its_own(
    file: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process.linux, "probe", lambda: Capabilities(True, True, "", ""))
    target = load_target(SHIPPED / file, {})
    nodes = [f"n{number}" for number in range(1, size + 1)]
    runtime = ProcessRuntime()
    try:
        stack = runtime.layout(target, {}, tmp_path, "hosts")
    finally:
        runtime.release()
    pairs = {f"{a}->{b}:2380" for a in nodes for b in nodes if a != b}
    assert {proxy.name for proxy in stack.proxies} == pairs | {f"client@{n}->{n}:2379" for n in nodes}
    assert len({proxy.listen for proxy in stack.proxies}) == len(stack.proxies)
    assert stack.entries == {f"client@{node}": f"{node}:2379" for node in nodes}
    for spec in stack.nodes:
        assert spec.hosts is not None
        known = {name: address for address, name in spec.hosts}
        assert sorted(known) == nodes  # itself directly, each other over the pair's own address
        assert known[spec.name] == stack.real[f"{spec.name}:2380"].partition(":")[0]
        for other in set(nodes) - {spec.name}:
            listen = next(proxy.listen for proxy in stack.proxies if proxy.name == f"{spec.name}->{other}:2380")
            assert listen == f"{known[other]}:2380"
    for client, launch in stack.clients.items():
        assert [name for _, name in launch.hosts or ()] == [client.removeprefix("client@")]
    assert all(canary[2:] == ("http", "/version") for canary in stack.canaries.values())
