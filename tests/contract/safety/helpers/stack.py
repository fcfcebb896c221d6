"""PostgreSQL, Valkey and a web server as local processes under a real supervisor; faults in turn, watched.

    python stack.py FOLDER NAMESPACE [FAULT ...]

Prints one JSON line per fault: whether it was seen to bite and to go, in words. With the fault `hold` it injects a
latency and a pause, says so, and waits.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from chaoskit import registry
from chaoskit.errors import ChaosKitError
from chaoskit.faults.evidence import Witness
from chaoskit.faults.model import Ground
from chaoskit.safety.session import Supervisor
from chaoskit.stack.effects import ActionEffect, burners_of
from chaoskit.stack.launch import StackSpec
from chaoskit.stack.topology import CLIENT, ActionSpec, Link, Node, RoleSpec, Service, Target, Topology
from chaoskit.store import RunDir

# Standard library only: an ordinary user has the packages of this environment by PYTHONPATH, nodes do not get that.
API = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_): pass

ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""
ON_LINKS = ("api->db:5432", "api->cache:6379", "client->api:8000")
ACTIONS = """
import time
from pathlib import Path

def mark(place, text="here"):
    (Path(place.data["db"]).parent / "mark").write_text(text)
    return text

def unmark(place):
    (Path(place.data["db"]).parent / "mark").unlink()

def hang(place):
    time.sleep(1000)

def leader(place):
    return "db"
"""
# Named like the fault, or like the fault and what is special about it.
FAULTS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "latency": ({"latency": "300ms", "jitter": "50ms"}, ON_LINKS),
    "timeout": ({"timeout": "500ms"}, ON_LINKS),
    "outage": ({}, ON_LINKS),
    "blackhole": ({}, ON_LINKS),
    "reset": ({}, ON_LINKS),
    "kill": ({}, ("db", "cache", "api")),
    "restart": ({}, ("db", "cache", "api")),
    "pause": ({}, ("db", "cache", "api")),
    "kill wiped": ({"data": "wipe"}, ("db", "cache")),
    "restart wiped": ({"data": "wipe"}, ("cache",)),
    "stress": ({"cpu": "20%"}, ("db", "cache")),
    "action": ({"action": "mark", "with": {"text": "there"}}, ()),
}
PATIENCE = 60.0


def say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


def make_target(folder: Path) -> Target:
    file = str(folder / "actions.py")
    folder.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(ACTIONS)
    trust = {"POSTGRES_USER": "app", "POSTGRES_DB": "app", "POSTGRES_HOST_AUTH_METHOD": "trust"}
    command = ("python", "-c", API, "${NODE_HOST}", "${NODE_PORT}")
    urls = {"DATABASE_URL": "postgresql://app@db:5432/app", "CACHE_URL": "redis://cache:6379"}
    services = (
        Service(name="db", server="postgres", environment=trust, ports=(5432,), protocol="postgres", start_timeout=90),
        Service(name="cache", server="valkey", ports=(6379,), protocol="resp", start_timeout=90),
        Service(
            name="api",
            process_command=command,
            environment=urls,
            ports=(8000,),
            protocol="http",
            depends_on=("db", "cache"),
            start_timeout=90,
        ),
    )
    nodes = tuple(Node(name=name, service=name, number=n) for n, name in enumerate(("db", "cache", "api", CLIENT), 1))
    links = (
        Link(source="api", destination="db", port=5432, protocol="postgres"),
        Link(source="api", destination="cache", port=6379, protocol="resp"),
        Link(source=CLIENT, destination="api", port=8000, protocol="http"),
    )
    return Target(
        name="trial",
        folder=str(folder),
        compose_file=str(folder / "compose.yaml"),
        services=services,
        topology=Topology(nodes=nodes, links=links),
        entry="api",
        actions=(
            ActionSpec(name="mark", file=file, function="mark", arguments=("text",), undo="unmark"),
            ActionSpec(name="unmark", file=file, function="unmark"),
            ActionSpec(name="hang", file=file, function="hang", timeout=900.0),
        ),
        roles=(RoleSpec(name="leader", file=file, function="leader", nodes=("db",)),),
    )


def compiled(target: Target, name: str) -> Any:
    fault = registry.load("fault", name.split()[0])
    raw, places = FAULTS[name]
    nodes = places if fault.targets == "nodes" else ()
    links = tuple(link for link in target.topology.links if (link.destination in nodes if nodes else link.id in places))
    given = fault.Parameters.model_validate(raw).model_dump(mode="json", by_alias=True, exclude_none=True)
    return fault.compile(name.replace(" ", "-"), given, Ground(target, links, nodes, 1, 10.0))


async def inject(supervisor: Supervisor, stack: StackSpec, target: Target, name: str) -> None:
    found = compiled(target, name)
    ids = [effect.id for effect in found.effects]
    fault = registry.load("fault", name.split()[0])
    instant = fault.instant and not fault.may_last
    witness = Witness(found.evidence, stack.canaries, supervisor.pids)
    try:
        await witness.before()
        await supervisor.begin(found.effects, time.monotonic_ns() + 10**12)
        if instant:
            await supervisor.end(ids)
        seen = await witness.seen(time.monotonic() + PATIENCE)
        if not instant:
            await supervisor.end(ids)
        gone = await witness.gone(time.monotonic() + PATIENCE)
    finally:
        witness.close()
    say(
        fault=name,
        sentence=found.sentence,
        seen=[o.seen for o in seen],
        gone=[o.seen for o in gone],
        text=[o.text for o in (*seen, *gone)],
    )


async def main(folder: Path, namespace: Any, names: list[str]) -> None:
    target = make_target(folder)
    runtime = registry.load("runtime", "process")()
    run = RunDir(folder)
    run.path.mkdir(parents=True, exist_ok=True)
    supervisor = Supervisor()
    await supervisor.start(run, deadline_s=600.0, pid_namespace=namespace)
    try:
        stack = runtime.layout(target, {}, run.block("v"), "auto")
        await supervisor.up(stack)
        say(event="up", supervisor=supervisor.pid, private=supervisor.private, interposition=stack.interposition)
        for name in names:
            if name == "hold":
                names = ("latency", "stress", "action", "pause")
                effects = [effect for one in names for effect in compiled(target, one).effects]
                await supervisor.begin(effects, time.monotonic_ns() + 10**12)
                hanging = ActionEffect(id="hang/1", injection="hang", action="hang", undo="unmark", timeout=900.0)
                under_way = asyncio.create_task(supervisor.begin([hanging], time.monotonic_ns() + 10**12))
                held = ("db", "cache", "api", burners_of("db"), burners_of("cache"))
                say(
                    event="holding",
                    state={p: len(await supervisor.pids(p)) for p in held},
                    leader=await supervisor.ask("leader"),
                )
                await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
                under_way.cancel()
            else:
                await inject(supervisor, stack, target, name)
    except ChaosKitError as error:
        say(event="error", text=str(error))
    await supervisor.bye()
    runtime.release()
    say(event="over")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
