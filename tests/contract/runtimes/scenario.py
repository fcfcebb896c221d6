"""Runs a real stack and says what it saw, as a process of its own: as root, and as an ordinary user.

    python scenario.py NAME INTERPOSITION FOLDER [SERVICES]

One JSON object on the last line of stdout. A program and not a fixture, because the driver makes its process the reaper
of orphans, and because an ordinary user cannot be had within a test.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from chaoskit import linux
from chaoskit.errors import ChaosKitError, InternalError
from chaoskit.registry import load
from chaoskit.stack.effects import LinkState
from chaoskit.stack.launch import LaunchSpec, StackSpec
from chaoskit.stack.topology import CLIENT, Link, Node, Service, Target, Topology

APP = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import psycopg, socket, urllib.parse

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            if self.path == "/db":
                with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=5) as session:
                    body = session.execute("select current_user || '@' || current_database()").fetchone()[0]
            elif self.path == "/cache":
                where = urllib.parse.urlsplit(os.environ["CACHE_URL"])
                with socket.create_connection((where.hostname, where.port), timeout=20) as session:
                    session.sendall(b"PING\\r\\n")
                    body = session.recv(100).decode().strip()
            elif self.path == "/env":
                body = json.dumps({**os.environ, "cwd": os.getcwd(), "python": sys.executable})
            else:
                body = "fine"
            status = 200
        except Exception as error:
            status, body = 500, repr(error)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())
    def log_message(self, *_): pass

ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""
CLIENT_ASKS = """
import json, socket, sys, urllib.request
found = {}
for path in ("/db", "/cache", "/env", "/health"):
    with urllib.request.urlopen(f"http://{sys.argv[1]}{path}", timeout=20) as answer:
        found[path] = answer.read().decode()
found["address"] = socket.gethostbyname(sys.argv[1].split(":")[0])
try:
    found["db"] = socket.gethostbyname("db")  # no link leads from the client to it
except OSError as error:
    found["db"] = type(error).__name__
print(json.dumps(found), flush=True)
"""


def make_target(folder: Path, **services: Service | None) -> Target:
    """api -> db (PostgreSQL), api -> cache (Valkey), client -> api; services given by name replace these."""
    code = folder / "code of the app"
    code.mkdir(parents=True, exist_ok=True)
    (code / "app.py").write_text(APP)
    (code / "requirements.txt").write_text("psycopg[binary]>=3.1\n")
    usual: dict[str, Service | None] = {
        "db": Service(
            name="db",
            image="postgres:18",
            server="postgres",
            environment={"POSTGRES_USER": "app", "POSTGRES_DB": "shop", "POSTGRES_HOST_AUTH_METHOD": "trust"},
            ports=(5432,),
            protocol="postgres",
            start_timeout=60,
        ),
        "cache": Service(name="cache", server="valkey", ports=(6379,), protocol="resp", start_timeout=60),
        "api": Service(
            name="api",
            context=str(code),
            requirements=str(code / "requirements.txt"),
            process_command=("python", "app.py", "${NODE_HOST}", "${NODE_PORT}"),
            environment={"DATABASE_URL": "postgresql://app@db:5432/shop", "CACHE_URL": "redis://cache:6379"},
            ports=(8000,),
            protocol="http",
            depends_on=("db", "cache"),
            start_timeout=60,
        ),
    }
    chosen = [service for service in {**usual, **services}.values() if service is not None]
    nodes = [Node(name=service.name, service=service.name, number=n) for n, service in enumerate(chosen, 1)]
    nodes.append(Node(name=CLIENT, service=CLIENT, number=len(nodes) + 1))
    links = [
        Link(source=service.name, destination=name, port=next(s.ports[0] for s in chosen if s.name == name))
        for service in chosen
        for name in service.depends_on
    ]
    entry = chosen[-1]
    links.append(Link(source=CLIENT, destination=entry.name, port=entry.ports[0], protocol=entry.protocol))
    return Target(
        name="trial",
        folder=str(folder),
        compose_file=str(folder / "compose.yaml"),
        services=tuple(chosen),
        topology=Topology(nodes=tuple(nodes), links=tuple(links)),
        entry=entry.name,
    )


class Trial:
    """A stack that is up, and its end."""

    def __init__(self, target: Target, interposition: str, folder: Path) -> None:
        self.runtime = load("runtime", "process")()
        self.driver = load("driver", "process")()
        self.folder = folder / "the block"
        self.ended: list[tuple[str, int, tuple[str, ...]]] = []
        self.stack: StackSpec = self.runtime.layout(target, {}, self.folder, interposition)
        self.seconds: dict[str, float] = {}

    async def __aenter__(self) -> Trial:
        begin = time.monotonic()
        self.ready = await self.driver.up(self.stack, lambda *found: self.ended.append(found))
        self.up_seconds = time.monotonic() - begin
        return self

    async def __aexit__(self, *_: object) -> None:
        begin = time.monotonic()
        await self.driver.down()
        self.down_seconds = time.monotonic() - begin
        self.runtime.release()

    def node(self, name: str) -> LaunchSpec:
        return next(node for node in self.stack.nodes if node.name == name)

    def ids(self) -> list[linux.ProcessId]:
        return [found.id for found in linux.descendants(os.getpid())]

    async def client(self, code: str, *arguments: str) -> Any:
        """Run code as a traffic worker would be run; what it printed as JSON."""
        log = self.folder / "logs" / "asking.log"
        log.unlink(missing_ok=True)
        template = self.stack.clients["client"]
        await self.driver.spawn(
            template.model_copy(
                update={"name": "asking", "argv": (sys.executable, "-c", code, *arguments), "log": str(log)}
            )
        )
        while not any(name == "asking" for name, *_ in self.ended):
            await asyncio.sleep(0.02)
        self.ended.clear()
        return json.loads(log.read_text().splitlines()[-1])

    def session(self) -> Any:
        import psycopg

        host, port = self.node("db").binds[0]
        return psycopg.connect(host=host, port=port, user="app", dbname="shop", autocommit=True, connect_timeout=20)


async def life(trial: Trial) -> dict[str, Any]:
    """One stack through everything: served, cut, killed, run again, paused, continued, down."""
    async with trial:
        served = await _serve(trial)
        killed = await _kill(trial)
        paused = await _pause(trial)
        ids, data = trial.ids(), [node.data for node in trial.stack.nodes]
    return {
        "served": served,
        "killed": killed,
        "paused": paused,
        "stack": trial.stack.model_dump(mode="json"),
        "ready": trial.ready,
        "up_seconds": trial.up_seconds,
        "down_seconds": trial.down_seconds,
        "ended": trial.ended,
        "left": [who for who in ids if linux.alive(who)],
        "data_left": [path for path in data if path and Path(path).exists()],
        "logs": {path.name: path.read_text() for path in (trial.folder / "logs").iterdir()},
    }


async def _serve(trial: Trial) -> dict[str, Any]:
    seen = await trial.client(CLIENT_ASKS, trial.stack.entries["client"])
    link = next(proxy.name for proxy in trial.stack.proxies if proxy.name.startswith("api->db"))
    await trial.driver.links.apply(link, LinkState(enabled=False))
    cut = await trial.client(
        "import json, sys, urllib.request, urllib.error\n"
        "try: urllib.request.urlopen(sys.argv[1])\n"
        "except urllib.error.HTTPError as error: print(json.dumps(error.read().decode()))",
        f"http://{trial.stack.entries['client']}/db",
    )
    await trial.driver.links.apply(link, LinkState())
    outside = []
    for name in ("db", "cache", "api"):
        try:
            outside.append(socket.gethostbyname(name))
        except OSError:
            continue
    return {
        "seen": {**seen, "/env": json.loads(seen["/env"])},
        "cut": cut,
        "outside": outside,
        "listening": [[s.host, s.port] for s in linux.listeners()],
        "pids": {name: trial.driver.pids(name) for name in ("db", "cache", "api", "proxy")},
        "states": {name: await trial.driver.nodes.state(name) for name in ("db", "cache", "api")},
    }


async def _kill(trial: Trial) -> dict[str, Any]:
    nodes = trial.driver.nodes
    with trial.session() as session:
        session.execute("create table kept (n int)")
        session.execute("insert into kept values (7)")
        backend = session.execute("select pg_backend_pid()").fetchone()[0]
        before = trial.driver.pids("db")
        ids = [linux.identity(int(found["outer"])) for found in before]
        await nodes.kill("db")
        alive = [who for who in ids if who is not None and linux.alive(who)]
        state = await nodes.state("db")
        await nodes.kill("db")  # idempotent
        try:
            session.execute("select 1")
            answered = True
        except Exception:
            answered = False
    with socket.socket() as trying:
        refused = trying.connect_ex(trial.node("db").binds[0])
    await nodes.run("db")
    with trial.session() as session:
        kept = session.execute("select n from kept").fetchall()
    return {
        "backend": backend,
        "before": before,
        "alive": alive,
        "state": state,
        "answered": answered,
        "refused": refused,
        "kept": kept,
        "state_after": await nodes.state("db"),
    }


async def _pause(trial: Trial) -> dict[str, Any]:
    nodes = trial.driver.nodes
    answers: list[float] = []
    with trial.session() as session:
        session.execute("select 1")
        await nodes.pause("db")
        await nodes.pause("db")
        states = [found["state"] for found in trial.driver.pids("db")]
        state = await nodes.state("db")

        def ask() -> None:
            session.execute("select 1")
            answers.append(time.monotonic())

        asking = threading.Thread(target=ask)
        asking.start()
        await asyncio.sleep(1.0)
        silent = not answers
        resumed = time.monotonic()
        await nodes.run("db")
        await asyncio.to_thread(asking.join, 60)
    await nodes.pause("db")
    await nodes.kill("db")
    killed = await nodes.state("db")
    await nodes.pause("db")
    await nodes.run("db")
    return {
        "states": states,
        "state": state,
        "silent": silent,
        "answered": bool(answers) and answers[0] >= resumed,
        "killed": killed,
        "state_after": await nodes.state("db"),
    }


async def hold(trial: Trial) -> dict[str, Any]:
    """Up with an open session, say which processes there are, and wait to be killed."""
    async with trial:
        with trial.session():
            print(json.dumps(trial.ids()), flush=True)
            await asyncio.sleep(600)
    return {}


async def attempt(trial: Trial) -> dict[str, Any]:
    """Up and down again: what came of it, and what is left."""
    before = {who.pid for who in trial.ids()}
    error: dict[str, Any] = {}
    again = ""
    try:
        async with trial:
            try:
                await trial.driver.up(trial.stack, lambda *_: None)
            except InternalError as refused:
                again = refused.message
    except ChaosKitError as found:
        error = {"type": type(found).__name__, "message": found.message, "hint": found.hint}
    await trial.driver.down()  # idempotent
    left = [linux.command(who.pid) for who in trial.ids() if who.pid not in before and linux.alive(who)]
    return {"error": error, "left": left, "again": again, "ended": trial.ended}


async def workers(trial: Trial) -> dict[str, Any]:
    """What is said of processes that end, whether they were told to or not."""
    async with trial:
        shell = trial.stack.clients["client"].model_copy(
            update={"argv": ("/bin/sh", "-c", "echo last words; exit 3"), "name": "w1"}
        )
        killed = shell.model_copy(update={"argv": ("/bin/sh", "-c", "kill -9 $$"), "name": "w2"})
        stubborn = shell.model_copy(
            update={"argv": ("/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"), "name": "w3"}
        )
        for launch in (shell, killed, stubborn):
            await trial.driver.spawn(launch.model_copy(update={"log": str(trial.folder / "logs" / launch.name)}))
        try:
            await trial.driver.spawn(stubborn)
            twice = ""
        except InternalError as error:
            twice = error.message
        while len(trial.ended) < 2:
            await asyncio.sleep(0.02)
        await trial.driver.stop("w3", grace=0.2)
        await trial.driver.stop("w3")
        await trial.driver.stop("nobody")
        stopped = trial.driver.pids("w3")
        node = trial.stack.nodes[0].name
        os.kill(int(trial.driver.pids(node)[0]["outer"]), 9)  # the node dies by itself
        while len(trial.ended) < 3:
            await asyncio.sleep(0.02)
        state = await trial.driver.nodes.state(node)
        await trial.driver.nodes.run(node)
        return {
            "ended": sorted(trial.ended),
            "twice": twice,
            "stopped": stopped,
            "state": state,
            "again": await trial.driver.nodes.state(node),
        }


SCENARIOS = {"life": life, "hold": hold, "attempt": attempt, "workers": workers}


async def main(name: str, interposition: str, folder: Path, services: str = "{}") -> dict[str, Any]:
    given = {
        key: None if value is None else Service.model_validate({"name": key, **value})
        for key, value in json.loads(services).items()
    }
    return await SCENARIOS[name](Trial(make_target(folder, **given), interposition, folder))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), *sys.argv[4:]))))
