"""Targets: what is read from a Compose file, and every mistake with its line and column."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaoskit.errors import SpecError
from chaoskit.runtimes.rewriting import DEFAULT_PORTS, Rewriter
from chaoskit.stack.compose import load_target, read_target
from chaoskit.stack.references import SCHEMES, references


def links(target: Any) -> list[str]:
    return [f"{link.id} {link.protocol}" for link in target.topology.links]


def test_a_good_target(read: Any, compose: str, folder: Path) -> None:
    (folder / "requirements.txt").write_text("starlette\n")
    target, problems = read(compose)
    assert problems == []
    assert (target.name, target.entry, target.gossips, target.failover_bound) == ("shop", "api", False, 0.0)
    db, cache, api = target.services
    assert (db.image, db.server, db.ports, db.protocol) == ("postgres:18", "postgres", (5432,), "postgres")
    assert db.environment == {"POSTGRES_USER": "app", "POSTGRES_PORT": "5432"}
    assert (cache.server, cache.ports, cache.protocol) == ("valkey", (6379,), "resp")
    assert api.process_command == ("python", "-m", "app", "--host", "${NODE_HOST}")
    assert (api.context, api.requirements) == (str(folder), str(folder / "requirements.txt"))
    assert (api.ports, api.protocol, api.health_path, api.depends_on) == ((8000,), "http", "/health", ("db", "cache"))
    assert [(n.name, n.service, n.number) for n in target.topology.nodes] == [
        ("db", "db", 1),
        ("cache", "cache", 2),
        ("api", "api", 3),
        ("client", "client", 4),
    ]
    assert links(target) == ["api->db:5432 postgres", "api->cache:6379 resp", "client->api:8000 http"]
    (workload,) = target.workloads
    assert (workload.name, workload.file, workload.factory) == ("shorten", str(folder / "workload.py"), "workload")
    assert [(c.name, c.kind, c.weight) for c in workload.classes] == [
        ("create", "write", 1.0),
        ("resolve", "read", 4.0),
    ]
    assert workload.invariants == ("immutable",)
    assert load_target(folder / "compose.yaml", {}) == target


def test_variables_and_lists(read: Any, compose: str) -> None:
    text = compose.replace(
        "environment: {POSTGRES_USER: app, POSTGRES_PORT: 5432}",
        "environment: [POSTGRES_USER=app, TOKEN, 'PRICE=$$5', 'IMAGE=${NAME:+x-$NAME}']",
    )
    target, problems = read(text, {"TOKEN": "t", "NAME": "n", "POSTGRES_IMAGE": "pg:16"})
    assert problems == []
    assert target.service("db").image == "pg:16"
    assert target.service("db").environment == {"POSTGRES_USER": "app", "TOKEN": "t", "PRICE": "$5", "IMAGE": "x-n"}


def test_the_short_form_of_a_workload(read: Any, compose: str) -> None:
    head = compose[: compose.index("  workloads:")]
    target, problems = read(head + "  workload: workload.py\n  classes: {create: write}\n")
    assert problems == []
    assert [(w.name, w.classes[0].name) for w in target.workloads] == [("workload", "create")]
    _, problems = read(head + "  workload: workload.py\n")
    assert "x-chaoskit.classes is missing" in str(problems[0])


def test_a_cluster_has_a_node_and_a_link_per_pair(read: Any, folder: Path) -> None:
    target, problems = read(
        "services:\n"
        "  n:\n"
        "    image: etcd\n"
        "    command: etcd --initial-cluster n1=http://n1:2380,n2=http://n2:2380,n3=http://n3:2380\n"
        "    expose: [2379, 2380]\n"
        "x-chaoskit:\n"
        "  replicas: {n: [n1, n2, n3]}\n"
        "  gossips: true\n"
        "  failover_bound: 3s\n"
        "  safe_to_break: {n: [links]}\n"
        "  process: {n: {command: [etcd, --name, '${NODE_NAME}']}}\n"
    )
    assert problems == []
    assert (target.gossips, target.failover_bound, target.entry) == (True, 3.0, "n")
    assert target.service("n").safe_to_break == ("links",)
    pairs = [f"n{a}->n{b}:2380 http" for a in (1, 2, 3) for b in (1, 2, 3) if a != b]
    assert links(target) == [*pairs, "client->n1:2379 http", "client->n2:2379 http", "client->n3:2379 http"]


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        # a dependency that no address names: its first port
        ("      CACHE_URL: redis://cache:6379\n", "", "api->cache:6379 resp"),
        # an address alone is a link, and says the port of who declares none
        ("    cache: {server: valkey}", "    cache: {command: [cached]}", "api->cache:6379 resp"),
        ("redis://cache:6379", "redis://cache", "api->cache:6379 resp"),
        ("redis://cache:6379", "cache:6379", "api->cache:6379 resp"),
        ("port: 8000, ", "ports: [8000, 9000], protocol: tcp, ", "client->api:8000 tcp"),
    ],
)
def test_links(read: Any, compose: str, old: str, new: str, found: str) -> None:
    target, problems = read(compose.replace(old, new))
    assert problems == []
    assert found in links(target)
    assert len(links(target)) == 3


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        ("services:", "servces:", "1:1", "unknown key 'servces'; did you mean 'services'?"),
        ("  cache: {image: valkey}", "  cache: {imag: valkey}", "5:11", "unknown key 'imag' in services.cache"),
        ("  cache: {image: valkey}", "  cache: {}", "5:3", "cache has neither image nor build"),
        ("  cache: {image: valkey}", "  cache: {image: valkey, networks: [a]}", "5:26", "'networks' is not supported"),
        ("  cache: {image: valkey}", "  cache: {image: valkey, env_file: .env}", "5:26", "write the variables under"),
        ("  cache: {image: valkey}", "  client: {image: valkey}", "5:3", "'client' is what chaoskit calls"),
        ("  cache: {image: valkey}", "  cache: {image: valkey, ports: [99999]}", "5:34", "is '99999'"),
        ("  cache: {image: valkey}", "  cache: {image: valkey, ports: ['1:53/udp']}", "5:34", "UDP is not bent"),
        ("  cache: {image: valkey}", "  cache: {image: valkey, depends_on: [cache]}", "5:39", "depends on itself"),
        ("  cache: {image: valkey}", "  cache: {image: valkey, depends_on: [api]}", "11:22",
         "services wait for each other: cache -> api -> cache"),
        ("  cache: {image: valkey}", "  cache: {image: valkey, healthcheck: {test: [curl, x]}}", "5:46",
         "test begins with 'curl'"),
        ("[db, cache]", "[db, cach]", "11:22", "api depends on 'cach', which is no service; did you mean 'cache'?"),
        ("[db, cache]", "{db: {condition: service_completed_successfully}}", "11:34", "is not a condition"),
        ("build: .", "build: nowhere", "7:12", "the build context 'nowhere' of api is no folder"),
        ("build: .", "build: {dockerfile: x}", "7:12", "services.api.build.context is missing"),
        ("app@db:5432", "app@db:5433", "9:21", "api dials db:5433, where nothing listens (db listens on 5432)"),
        ("postgresql://app@db:5432/app", "${DB_URL}", "9:21", "variable DB_URL is not set and has no default"),
        ("postgresql://app@db:5432/app", "${DB_URL:?export it}", "9:21", "variable DB_URL is not set: export it"),
        ("postgresql://app@db:5432/app", "${DB_URL", "9:21", "'${' is not closed"),
        ("postgresql://app@db:5432/app", "http://${NODE_HOST}:1", "9:21", "uses a variable of the node"),
        ("postgresql://app@db:5432/app", "", "9:7", "DATABASE_URL of api has no value"),
        ("  entry: api\n", "", "12:1", "x-chaoskit.entry is missing (the service that clients talk to)"),
        ("  entry: api", "  entry: app", "13:10", "the entry 'app' is no service; did you mean 'api'?"),
        ("    cache: {server: valkey}\n", "", "5:3", "add x-chaoskit: process: cache: {server: valkey}"),
        ("    cache: {server: valkey}", "    cache: {server: redis}", "16:21", "'redis' is not an embedded server"),
        ("    cache: {server: valkey}", "    cache: {}", "16:5", "the recipe of cache has neither server nor command"),
        ("    cache: {server: valkey}", "    cache: {server: valkey, command: [a]}", "16:5", "both server and command"),
        ("    cache: {server: valkey}", "    cach: {server: valkey}", "16:5", "names 'cach', which is no service"),
        ("port: 8000", "port: 0", "17:69", "port is '0' (a whole number from 1"),
        ("port: 8000", "port: 8000, requirements: req.txt", "17:89", "'req.txt' of api does not exist"),
        ("port: 8000", "port: 8000, start_timeout: 5", "17:90", "'5' is not a duration"),
        ("port: 8000", "port: 8000, command: 'a \"b'", "17:75", "duplicate key 'command'"),
        ("[python, -m, app, --host, \"${NODE_HOST}\"]", "\"a 'b\"", "17:20", "cannot be split: No closing quotation"),
        ("port: 8000, ", "", "6:3", "the entry api listens on no known port"),
        ("file: workload.py", "file: work.py", "20:13", "the workload's file 'work.py' cannot be read"),
        ("file: workload.py", "file: workload.py\n      factory: make", "21:16", "workload.py has no make"),
        ("create: write", "create: writes", "21:25", "'writes' is not a kind of operation; did you mean 'write'?"),
        ("weight: 4", "weight: -4", "21:62", "weight is not a weight"),
        ("weight: 4", "wight: 4", "21:54", "did you mean 'weight'?"),
        ("create: write, resolve: {kind: read, weight: 4}", "", "21:16", "classes is empty"),
        ("[immutable]", "[imutable]", "22:20", "'imutable' is not an invariant; did you mean 'immutable'?"),
        ("x-chaoskit:", "networks: {}\nx-chaoskit:", "12:1", "'networks' is not supported"),
        ("  entry: api", "  entry: api\n  replicas: {api: [db]}", "6:3", "two nodes are called 'db'"),
        ("  entry: api", "  entry: api\n  replicas: {db: 2}", "9:21", "db has the nodes db-1, db-2"),
        ("  entry: api", "  entry: api\n  replicas: {apis: 2}", "14:14", "names 'apis', which is no service"),
        ("  entry: api", "  entry: api\n  gossips: yes", "14:12", "'yes' is text in YAML 1.2"),
        ("  entry: api", "  entry: api\n  classes: {a: read}", "14:3", "both workloads and classes"),
        ("  entry: api", "  entry: api\n  safe_to_break: {db: [stop]}", "14:24", "'stop' is not something that can"),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_where_it_is(read: Any, compose: str, old: str, new: str, where: str, what: str) -> None:
    assert old in compose
    target, problems = read(compose.replace(old, new, 1))
    assert target is None
    texts = [str(problem) for problem in problems]
    assert any(text.startswith(f"compose.yaml:{where}: ") and what in text for text in texts), texts


def test_all_mistakes_are_found_at_once(read: Any, compose: str) -> None:
    broken = (
        compose.replace("image: valkey", "imag: valkey")
        .replace("build: .", "build: nowhere")
        .replace("db:5432", "db:5433")
        .replace("entry: api", "entry: app")
        .replace("server: postgres", "server: postgre")
        .replace("workload.py", "work.py")
    )
    _, problems = read(broken)
    assert {problem.line for problem in problems} >= {5, 7, 13, 15, 20}


def test_what_has_no_effect_becomes_a_note(read: Any, compose: str) -> None:
    text = 'version: "3"\nvolumes: {data: {}}\n' + compose.replace(
        "image: valkey}", "image: valkey, restart: always, labels: {a: b}, x-own: 1, volumes: [data:/var]}"
    )
    target, problems = read(text)
    assert problems == []
    assert any("restart policies are not followed" in note for note in target.notes)
    assert any("version" in note for note in target.notes)
    assert not any("labels" in note or "x-own" in note for note in target.notes)


def test_files_of_the_host_are_not_mounted(read: Any, compose: str) -> None:
    _, problems = read(compose.replace("image: valkey}", "image: valkey, volumes: [data:/var, ./conf:/etc]}"))
    assert len(problems) == 1
    assert str(problems[0]).startswith("compose.yaml:5:47: ") and "./conf" in str(problems[0])


def test_healthchecks(read: Any, compose: str) -> None:
    for written, expected in [
        ("{test: [CMD, ready, now], interval: 500ms, retries: 7}", (("ready", "now"), 0.5, 7)),
        ("{test: [CMD-SHELL, ready || exit 1]}", ("ready || exit 1", 1.0, 3)),
        ("{test: ready}", ("ready", 1.0, 3)),
        ("{test: [NONE]}", None),
        ("{test: ready, disable: true}", None),
    ]:
        target, problems = read(compose.replace("image: valkey}", f"image: valkey, healthcheck: {written}}}"))
        assert problems == []
        check = target.service("cache").healthcheck
        assert (check and (check.test, check.interval, check.retries)) == expected


def test_workloads_are_read_but_never_run(read: Any, compose: str, folder: Path) -> None:
    (folder / "workload.py").write_text("def workload(:\n")
    _, problems = read(compose)
    assert str(problems[0]).startswith("workload.py:1:14: is not Python")
    (folder / "workload.py").write_bytes(b"\x00")
    assert "is not Python" in str(read(compose)[1][0])
    (folder / "workload.py").write_text("from elsewhere import make as workload\n")
    assert read(compose)[1] == []


def test_folders_that_are_no_target(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"has no compose\.yaml"):
        load_target(tmp_path, {})
    with pytest.raises(SpecError, match="cannot be read"):
        load_target(tmp_path / "none.yaml", {})
    (tmp_path / "docker-compose.yml").write_text("")
    with pytest.raises(SpecError, match=r"docker-compose\.yml: is empty"):
        load_target(tmp_path, {})


def test_a_long_chain_of_services_ends(read: Any) -> None:
    services = "".join(f"  s{i}: {{image: a, depends_on: [s{i + 1}]}}\n" for i in range(2000))
    target, problems = read(f"services:\n{services}x-chaoskit: {{}}\n")
    assert target is None
    assert any("at most 250" in str(problem) for problem in problems)


NAMES = ["db", "db-2", "cache", "api.v1"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("postgresql+psycopg://db:secret@cache:5432/db", [("cache", 5432, "postgres")]),
        ("my.db:5432 xdb:1 db-2:5 db_x:5", [("db-2", 5, None)]),
        ("n=http://db,redis://cache/0", [("db", 80, "http"), ("cache", 6379, "resp")]),
        ("db", []),
        ("mailto://db", []),
        ("http://api.v1:80/db:5", [("api.v1", 80, "http")]),
    ],
)
def test_references(text: str, found: list[tuple[str, int, str | None]]) -> None:
    assert [tuple(one) for one in references(text, NAMES)][: len(found)] == found


@given(
    st.lists(st.sampled_from([*NAMES, ":", "5432", "//", "@", "/", ",", ".", " ", "http", "redis", "=", "x", "-"])).map(
        "".join
    )
)
def test_every_address_that_makes_a_link_is_one_that_can_be_rewritten(text: str) -> None:
    found = [(name, port) for name, port, _ in references(text, NAMES)]
    rewritten: list[tuple[str, int]] = []

    class Recording(dict[tuple[str, int], tuple[str, int]]):
        def get(self, key: Any, default: Any = None) -> Any:
            rewritten.append(key)
            return None

    rewriter = Rewriter({(name, 1): ("x", 1) for name in NAMES})
    rewriter._addresses = Recording()
    rewriter(text)
    assert found == [one for one in rewritten if one[1] < 100_000]


def test_schemes_mean_the_same_ports_when_rewritten() -> None:
    assert {scheme: port for scheme, (port, _) in SCHEMES.items()} == DEFAULT_PORTS


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_mutation_raises_anything_else(tmp_path: Path, compose: str, data: st.DataObject) -> None:
    pieces = re.findall(r"\w+|\s+|[^\w\s]", compose)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(pieces) - 1))
        pieces[at] = data.draw(
            st.sampled_from(["", "\n", "{", "[", ":", "&a", "*a", "null", "true", "9", "${X}", *pieces[:9]])
        )
    path = tmp_path / "compose.yaml"
    path.write_text("".join(pieces))
    (tmp_path / "workload.py").write_text("workload = 1\n")
    target, problems = read_target(path, {})
    assert (target is None) == bool(problems)
