"""From a target to a StackSpec, under both interpositions; what cannot work is refused with reason and remedy."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaoskit.errors import AbilityError, EnvironmentFault, PlanError, TargetError
from chaoskit.runtimes import process
from chaoskit.runtimes.process import ProcessRuntime
from chaoskit.stack.launch import StackSpec
from chaoskit.stack.topology import Healthcheck, Service, Target


@pytest.fixture
def runtime() -> Iterator[ProcessRuntime]:
    made = ProcessRuntime()
    yield made
    made.release()


@pytest.fixture
def layout(runtime: ProcessRuntime, tmp_path: Path) -> Callable[..., StackSpec]:
    def lay(target: Target, interposition: str, env: dict[str, dict[str, str]] | None = None) -> StackSpec:
        return runtime.layout(target, env or {}, tmp_path / "a block", interposition)

    return lay


@pytest.fixture(autouse=True)
def _with_namespaces(machine: Callable[[bool], None]) -> None:
    machine(True)


def node(stack: StackSpec, name: str) -> dict[str, object]:
    return next(found for found in stack.nodes if found.name == name).model_dump()


def test_hosts_changes_nothing_but_names(shop: Target, layout: Callable[..., StackSpec]) -> None:
    stack = layout(shop, "hosts")
    assert stack.interposition == "hosts"
    api = next(found for found in stack.nodes if found.name == "api")
    assert api.env["DATABASE_URL"] == "postgresql://app@db:5432/app"
    host = api.binds[0][0]
    assert api.argv == (sys.executable, "-m", "app", "--host", host, "--port", "8000")
    assert api.hosts is not None
    listens = {proxy.name: proxy.listen for proxy in stack.proxies}
    assert {name: f"{address}:5432" for address, name in api.hosts}["db"] == listens["api->db:5432"]
    assert stack.clients["client"].hosts is not None
    assert [name for _, name in stack.clients["client"].hosts] == ["api"]
    assert stack.entries["client"] == "api:8000"
    assert stack.canaries["client->api:8000"][2:] == ("http", "/health")
    assert api.after == ("db", "cache")
    assert api.own_pids


@pytest.mark.parametrize("interposition", ["hosts", "rewrite"])
def test_nothing_listens_but_on_loopback(shop: Target, layout: Callable[..., StackSpec], interposition: str) -> None:
    """Neither links nor servers nor the control port, which has no password, can be reached from another machine."""
    stack = layout(shop, interposition)
    places = [*(proxy.listen for proxy in stack.proxies), *(proxy.upstream for proxy in stack.proxies)]
    places += [stack.control, *stack.real.values()]
    hosts = [place.rpartition(":")[0] for place in places] + [host for one in stack.nodes for host, _ in one.binds]
    assert len(hosts) > 10
    assert all(ipaddress.ip_address(host).is_loopback for host in hosts), hosts
    argv = stack.proxy_process.argv
    assert argv[argv.index("--host") + 1] == stack.control.rpartition(":")[0]


def test_rewrite_puts_the_links_into_environment_and_command(shop: Target, layout: Callable[..., StackSpec]) -> None:
    stack = layout(shop, "rewrite")
    listens = {proxy.name: proxy.listen for proxy in stack.proxies}
    upstream = {proxy.name: proxy.upstream for proxy in stack.proxies}
    api = next(found for found in stack.nodes if found.name == "api")
    assert api.env["DATABASE_URL"] == f"postgresql://app@{listens['api->db:5432']}/app"
    assert api.env["CACHE"] == f"redis://{listens['api->cache:6379']}"
    assert api.env["SELF"] == upstream["client->api:8000"]  # itself, directly
    assert api.argv[-1] == upstream["client->api:8000"].split(":")[1]
    assert stack.entries["client"] == listens["client->api:8000"]
    assert api.hosts is None
    assert stack.clients["client"].hosts is None
    assert stack.canaries["api->db:5432"][:2] == ("127.0.0.1", int(listens["api->db:5432"].split(":")[1]))


def test_servers_are_set_up_for_their_address(shop: Target, layout: Callable[..., StackSpec]) -> None:
    stack = layout(shop, "hosts", {"db": {"POSTGRES_PASSWORD": "hush"}})
    db = next(found for found in stack.nodes if found.name == "db")
    assert "pginstall/" in db.argv[0]  # the image says 16
    assert f"listen_addresses={db.binds[0][0]}" in db.argv
    assert db.prepare[0][-1] == "scram-sha-256"
    assert db.env["POSTGRES_PASSWORD"] == "hush"
    assert "hush" not in json.dumps([db.argv, db.prepare])
    assert (db.user is None) == (os.geteuid() != 0)
    assert db.ready is not None
    assert (db.ready.protocol, db.ready.host) == ("postgres", db.binds[0][0])


def test_variant_wins_over_the_compose_file(shop: Target, layout: Callable[..., StackSpec]) -> None:
    api = node(layout(shop, "rewrite", {"api": {"CACHE": "none", "NODE": "${NODE_NAME}"}}), "api")
    assert isinstance(api["env"], dict)
    assert (api["env"]["CACHE"], api["env"]["NODE"]) == ("none", "api")


def test_callers_environment_stays_outside(
    shop: Target, layout: Callable[..., StackSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("PATH")
    stack = layout(shop, "hosts")
    assert "hush" not in stack.model_dump_json()
    assert all(
        found.env["HOME"] and found.env["PATH"]
        for found in (*stack.nodes, stack.clients["client"], stack.proxy_process)
    )


def test_four_side_by_side_never_collide(shop: Target, tmp_path: Path) -> None:
    runtimes = [ProcessRuntime() for _ in range(4)]
    try:
        taken = [
            endpoint
            for runtime in runtimes
            for way in ("hosts", "rewrite")
            for stack in [runtime.layout(shop, {}, tmp_path / str(id(runtime)) / way, way)]
            for endpoint in [stack.control, *(e for p in stack.proxies for e in (p.listen, p.upstream))]
        ]
        assert len(set(taken)) == len(taken)
    finally:
        for runtime in runtimes:
            runtime.release()
            runtime.release()


def test_replicas_share_the_services_name(target: Callable[..., Target], layout: Callable[..., StackSpec]) -> None:
    api = Service(name="api", process_command=("serve",), ports=(8000,), protocol="http")
    web = Service(
        name="web",
        process_command=("serve",),
        ports=(9000,),
        depends_on=("api",),
        environment={"ALL": "api:8000", "SECOND": "http://api-2:8000"},
    )
    made = target(api, web, replicas={"api": ["api-1", "api-2"]})
    hosts = next(found for found in layout(made, "hosts").nodes if found.name == "web").hosts
    assert hosts is not None
    assert sorted(name for _, name in hosts) == ["api", "api", "api-1", "api-2", "web"]
    stack = layout(made, "rewrite")
    listens = {proxy.name: proxy.listen for proxy in stack.proxies}
    env = next(found for found in stack.nodes if found.name == "web").env
    assert env["ALL"] == listens["web->api-1:8000"]
    assert env["SECOND"] == f"http://{listens['web->api-2:8000']}"


@pytest.mark.parametrize("way", ["hosts", "rewrite"])
def test_healthcheck_asks_the_node_itself(
    target: Callable[..., Target], layout: Callable[..., StackSpec], way: str
) -> None:
    check = Healthcheck(test="true && cat http://localhost:8000/health 127.0.0.1:8000 ${NODE_NAME}")
    stack = layout(target(Service(name="api", process_command=("serve",), ports=(8000,), healthcheck=check)), way)
    api = stack.nodes[0]
    own = f"{api.binds[0][0]}:{api.binds[0][1]}"
    assert api.ready is not None
    assert api.ready.command == ("/bin/sh", "-c", f"true && cat http://{own}/health {own} api")


def test_healthcheck_with_a_tool_that_only_the_image_has(
    target: Callable[..., Target], layout: Callable[..., StackSpec]
) -> None:
    check = Healthcheck(test=("no-such-curl", "http://localhost:8000"))
    api = Service(name="api", process_command=("serve",), ports=(8000,), protocol="http", healthcheck=check)
    ready = layout(target(api), "hosts").nodes[0].ready
    assert ready is not None
    assert (ready.command, ready.protocol) == (None, "http")


def test_auto_is_hosts_where_that_is_to_be_had(
    shop: Target, layout: Callable[..., StackSpec], runtime: ProcessRuntime, machine: Callable[[bool], None]
) -> None:
    assert layout(shop, "auto").interposition == runtime.check(shop, "auto") == "hosts"
    machine(False)
    stack = layout(shop, "auto")
    assert stack.interposition == runtime.check(shop, "auto") == "rewrite"
    assert not any(found.own_pids for found in stack.nodes)
    with pytest.raises(AbilityError, match="denied") as caught:
        layout(shop, "hosts")
    assert caught.value.hint == "allow it"


def test_auto_gives_way_to_a_port_that_is_taken(
    target: Callable[..., Target], layout: Callable[..., StackSpec]
) -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        made = target(Service(name="api", process_command=("serve",), ports=(port,)))
        with pytest.raises(EnvironmentFault, match=rf"port {port} is taken .*pid {os.getpid()}") as caught:
            layout(made, "hosts")
        assert "rewrite" in str(caught.value.hint)
        assert layout(made, "auto").interposition == "rewrite"
        gossips = made.model_copy(update={"gossips": True})
        with pytest.raises(EnvironmentFault, match=r"taken.*; and .*tell each other"):
            layout(gossips, "auto")


def test_gossip_cannot_be_rewritten(shop: Target, runtime: ProcessRuntime, machine: Callable[[bool], None]) -> None:
    gossips = shop.model_copy(update={"gossips": True})
    assert runtime.check(gossips, "auto") == "hosts"
    with pytest.raises(AbilityError, match="tell each other their addresses") as caught:
        runtime.check(gossips, "rewrite")
    assert caught.value.hint
    machine(False)
    with pytest.raises(AbilityError, match=r"denied.*; and .*tell each other"):
        runtime.check(gossips, "auto")


def test_low_ports_need_root(
    target: Callable[..., Target], runtime: ProcessRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = target(Service(name="web", process_command=("serve",), ports=(80,)))
    monkeypatch.setattr(process, "_lowest_port", lambda: 1024)
    with pytest.raises(AbilityError, match="port 80, which this user may not have"):
        runtime.check(made, "hosts")
    assert runtime.check(made, "auto") == "rewrite"  # there its port is a leased one


def test_a_host_without_its_port_cannot_be_rewritten(
    target: Callable[..., Target], layout: Callable[..., StackSpec]
) -> None:
    db = Service(name="db", process_command=("serve",), ports=(5432,))
    api = Service(
        name="api",
        process_command=("serve",),
        ports=(8000,),
        depends_on=("db",),
        environment={"DB_HOST": "db", "NAME": "db"},
    )
    made = target(db, api)
    assert layout(made, "hosts")
    with pytest.raises(AbilityError, match=r"DB_HOST=db of api") as caught:
        layout(made, "rewrite")
    assert "db:PORT" in str(caught.value.hint)


def test_unknown_interposition(shop: Target, runtime: ProcessRuntime) -> None:
    with pytest.raises(PlanError, match="no interposition 'magic'"):
        runtime.check(shop, "magic")


def test_a_service_without_a_recipe(target: Callable[..., Target], layout: Callable[..., StackSpec]) -> None:
    with pytest.raises(TargetError, match="nothing to start") as caught:
        layout(target(Service(name="api", ports=(8000,))), "hosts")
    assert "x-chaoskit" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"POSTGRES_DB": 'a"b'}, "POSTGRES_DB"),
        ({"POSTGRES_USER": "x" * 64}, "POSTGRES_USER"),
        ({"POSTGRES_HOST_AUTH_METHOD": "magic"}, "POSTGRES_HOST_AUTH_METHOD"),
    ],
)
def test_postgres_refuses_what_it_could_not_start_with(
    target: Callable[..., Target], layout: Callable[..., StackSpec], environment: dict[str, str], says: str
) -> None:
    with pytest.raises(TargetError, match=says):
        layout(target(Service(name="db", server="postgres", ports=(5432,), environment=environment)), "hosts")


def test_flags_of_servers(target: Callable[..., Target], layout: Callable[..., StackSpec]) -> None:
    """Flags of the Compose file hold here too; where the server listens is not theirs to say, so ours come last."""
    cache = Service(
        name="cache",
        server="valkey",
        ports=(6379,),
        command=("valkey-server", "--save", "", "--port", "1"),
        environment={"VALKEY_EXTRA_FLAGS": "--appendonly yes"},
    )
    argv = layout(target(cache), "hosts").nodes[0].argv
    assert argv[1:7] == ("--save", "", "--port", "1", "--appendonly", "yes")
    assert argv[argv.index("6379") - 1] == "--port"
    db = Service(name="db", server="postgres", ports=(5432,), command=("-c", "max_connections=20", "-c", "port=1"))
    argv = layout(target(db), "hosts").nodes[0].argv
    assert argv[3:7] == ("-c", "max_connections=20", "-c", "port=1")
    assert argv.index("port=5432") > 7


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"environment": {"VALKEY_EXTRA_FLAGS": "--save '"}}, "VALKEY_EXTRA_FLAGS"),
        ({"command": ("valkey-server", "/etc/valkey.conf")}, "valkey-server /etc/valkey.conf"),
        ({"command": ("sh", "-c", "valkey-server")}, "sh -c valkey-server"),
    ],
)
def test_flags_that_cannot_be_had(
    target: Callable[..., Target], layout: Callable[..., StackSpec], change: dict[str, object], says: str
) -> None:
    cache = Service(name="cache", server="valkey", ports=(6379,)).model_copy(update=change)
    with pytest.raises(TargetError, match=says) as caught:
        layout(target(cache), "hosts")
    assert caught.value.hint


def test_missing_packages_say_what_to_install(
    shop: Target, layout: Callable[..., StackSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("postgres", "valkey"):
        monkeypatch.setattr(f"chaoskit.runtimes.servers.{name}.find_spec", lambda _: None)
        with pytest.raises(EnvironmentFault, match="no embedded one") as caught:
            layout(shop, "hosts")
        assert "chaoskit[embedded]" in str(caught.value.hint)
        monkeypatch.undo()


def test_folder_that_cannot_be_made(shop: Target, runtime: ProcessRuntime) -> None:
    with pytest.raises(EnvironmentFault, match="cannot be made"):
        runtime.layout(shop, {}, Path("/proc/nowhere"), "hosts")


def test_the_original_toxiproxy_stands_in_the_same_place(shop, tmp_path, monkeypatch):
    program = tmp_path / "toxiproxy-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("TOXIPROXY_SERVER", str(program))
    runtime = ProcessRuntime()
    try:
        stack = runtime.layout(shop, {}, tmp_path / "a block", "rewrite", "real")
    finally:
        runtime.release()
    host, _, port = stack.control.rpartition(":")
    assert stack.toxiproxy == "real"
    assert stack.proxy_process.argv == (str(program), "-host", host, "-port", port)
    assert stack.proxy_process.ready.port == int(port)
    monkeypatch.setenv("TOXIPROXY_SERVER", str(tmp_path / "gone"))
    with pytest.raises(EnvironmentFault, match="TOXIPROXY_SERVER"):
        runtime.layout(shop, {}, tmp_path / "another", "rewrite", "real")
    runtime.release()
