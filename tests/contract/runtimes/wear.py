"""Nodes under everything that can be done to them, and actions that misbehave: a process of its own, as `scenario.py`.

    python wear.py NAME INTERPOSITION FOLDER [SEED]

One JSON object on the last line of stdout.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from scenario import Trial, make_target

from chaoskit import linux
from chaoskit.errors import ChaosKitError
from chaoskit.safety.executor import Executor, links_by_destination
from chaoskit.stack.effects import (
    ActionEffect,
    Effect,
    LinkState,
    NodeEffect,
    StressEffect,
    burners_of,
    fold_nodes,
    fold_stress,
)
from chaoskit.stack.topology import ActionSpec, RoleSpec, Target

ACTIONS = """
import asyncio, os, subprocess, sys
import beside
from pathlib import Path

def works(place, to="nobody"):
    print("some text for the log")
    return f"moved to {to}; nodes {','.join(place.nodes)}; in {Path.cwd().name}"

async def asks(place):
    host, _, port = place.real["cache:6379"].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"PING\\r\\n")
    answer = (await reader.readline()).decode().strip()
    writer.close()
    return answer

def raises(place):
    raise RuntimeError(beside.WORDS)

def hangs(place):
    import time
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    time.sleep(1000)

def shouts(place):
    sys.stdout.buffer.write(bytes(range(256)) * 4000)
    sys.stdout.flush()
    os.close(1), os.close(2)

def ends(place):
    os._exit(3)

def leaves(place):
    sys.exit("had enough")

def shot(place):
    os.kill(os.getpid(), 9)

def returns(place):
    return {"not": "text"}

def litters(place):
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    return "left a process behind"

def data(place):
    return str(Path(place.data["cache"]).is_dir())

def leader(place):
    return "db"

def nobody(place):
    return None

def stranger(place):
    return "n9"
"""
NAMES = ("works", "asks", "raises", "hangs", "shouts", "ends", "leaves", "shot", "returns", "litters", "data")


def target_of(folder: Path) -> Target:
    """The usual one, with actions; without its app, which would only take time."""
    made = make_target(folder, api=None)
    (folder / "beside.py").write_text('WORDS = "no quorum"\n')
    (folder / "random.py").write_text("raise ImportError('the folder of the target comes before the library')\n")
    file = folder / "actions.py"
    file.write_text(ACTIONS)
    return made.model_copy(
        update={
            "actions": tuple(
                ActionSpec(name=name, file=str(file), function=name, arguments=("to",) if name == "works" else ())
                for name in NAMES
            ),
            "roles": tuple(
                RoleSpec(name=name, file=str(file), function=name, nodes=("db", "cache"))
                for name in ("leader", "nobody", "stranger", "missing")
            ),
        }
    )


async def attempted(work: Any) -> dict[str, Any]:
    begin = time.monotonic()
    try:
        answer: dict[str, Any] = {"answer": await work}
    except ChaosKitError as error:
        answer = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    return {**answer, "seconds": time.monotonic() - begin}


async def actions(trial: Trial, seed: int) -> dict[str, Any]:
    """Every way in which a function of the target can behave."""
    async with trial:
        control = trial.driver.actions
        before = set(trial.ids())
        for proxy in trial.stack.proxies:
            await trial.driver.links.apply(proxy.name, LinkState(enabled=False))  # actions go past the links
        done = {
            name: await attempted(control.run(name, {"to": "n2"}, 2.0 if name == "hangs" else 60.0)) for name in NAMES
        }
        done["unknown"] = await attempted(control.run("unknown", {}, 60.0))
        roles = {spec.name: await attempted(control.ask(spec.name)) for spec in trial.stack.roles}
        follows = {spec.name: await attempted(control.follow(spec.name, 60.0)) for spec in trial.stack.roles}
        once = len(follows["leader"]["answer"])
        while not (asked_again := len(await control.follow("leader", 60.0)) > once):
            await asyncio.sleep(0.02)
        ended = [await control.follow(spec.name, 0.0) for spec in trial.stack.roles]
        short = await attempted(control.follow("nobody", 0.01))
        while "answer" in short:
            short = await attempted(control.follow("nobody", 60.0))
            await asyncio.sleep(0.02)
        giving_up = asyncio.create_task(control.run("hangs", {}, 600.0))
        await asyncio.sleep(1.0)
        under_way = len(trial.ids()) - len(before)
        giving_up.cancel()
        await asyncio.gather(giving_up, return_exceptions=True)
        left = [linux.command(who.pid) for who in trial.ids() if who not in before and linux.alive(who)]
        log = (trial.folder / "logs" / "actions.log").read_bytes().decode(errors="replace")
        hanging = asyncio.create_task(attempted(control.run("hangs", {}, 600.0)))
        await asyncio.sleep(1.0)
    return {
        "done": done,
        "roles": roles,
        "follows": follows,
        "asked_again": asked_again,
        "ended": ended,
        "short": short,
        "under_way": under_way,
        "left": left,
        "log": log[:2000],
        "at_the_end": await hanging,
        "left_at_the_end": [linux.command(who.pid) for who in trial.ids() if linux.alive(who)],
    }


def drawn(chance: random.Random) -> list[Effect]:
    """Everything that may overlap on two nodes, in some order."""
    found: list[Effect] = []
    for node in ("db", "cache"):
        found += [
            NodeEffect(id=f"pause-{node}/1", injection="", node=node, state="paused"),
            NodeEffect(id=f"kill-{node}/1", injection="", node=node, state="killed"),
            StressEffect(id=f"stress-{node}/1", injection="", node=node, cpu=0.5),
        ]
    found.append(NodeEffect(id="wipe-cache/1", injection="", node="cache", state="killed", wipe=True))
    found.append(ActionEffect(id="act/1", injection="", action="data"))
    chance.shuffle(found)
    return found


async def overlaps(trial: Trial, seed: int) -> dict[str, Any]:
    """Begin and end in a random order; after each step, what /proc, the sockets and the proxies say."""
    chance = random.Random(seed)
    wrong: list[str] = []
    async with trial:
        driver = trial.driver
        links_to = links_by_destination(proxy.name for proxy in trial.stack.proxies)
        subject = Executor(driver.links, driver.nodes, links_to, driver.actions)
        kept = Path(trial.node("db").data or "") / "kept"
        lost = Path(trial.node("cache").data or "") / "lost"
        kept.write_text("")
        lost.write_text("")
        waiting, active, told = drawn(chance), [], []
        while waiting or active:
            if waiting and (not active or chance.random() < 0.6):
                effect = waiting.pop()
                active.append(effect)
                told.append(f"+{effect.id}")
                await subject.begin([effect], time.monotonic_ns() + 10**12)
            else:
                effect = active.pop(chance.randrange(len(active)))
                told.append(f"-{effect.id}")
                await subject.end([effect.id])
            wrong += [f"{told}: {what}" for what in await looked(trial, active)]
        return {
            "wrong": wrong,
            "told": told,
            "kept": kept.exists(),
            "lost": not lost.exists(),
            "answers": {name: await answers(trial, name) for name in ("db", "cache")},
        }


async def looked(trial: Trial, active: list[Effect]) -> list[str]:
    """What is otherwise than the active effects ask for."""
    found = []
    for node in ("db", "cache"):
        wanted = fold_nodes(active).get(node, "running")
        if (state := await trial.driver.nodes.state(node)) != wanted:
            found.append(f"{node} is {state} instead of {wanted}")
        if wanted == "killed" and (left := trial.driver.pids(node)):
            found.append(f"{left} left of {node}")
        burning = bool(trial.driver.pids(burners_of(node)))
        if burning is not (node in fold_stress(active)):
            found.append(f"stress of {node}: {burning}")
        with socket.socket() as trying:
            trying.settimeout(5)
            refused = trying.connect_ex(trial.node(node).binds[0]) != 0
        if refused is not (wanted == "killed"):
            found.append(f"{node} itself refuses: {refused}")
        for name in links_by_destination(proxy.name for proxy in trial.stack.proxies).get(node, ()):
            if (await trial.driver.links.read(name)).enabled is (wanted == "killed"):
                found.append(f"{name} does not follow {node}")
    return found


async def answers(trial: Trial, node: str) -> bool:
    from chaoskit.probes import probe

    host, port = trial.node(node).binds[0]
    return (await probe(host, port, "postgres" if node == "db" else "resp", timeout=30.0)).kind == "answered"


async def wiped(trial: Trial, seed: int) -> dict[str, Any]:
    """PostgreSQL loses its data: it is set up anew, by the recipe, as many times as it takes."""
    async with trial:
        nodes, data = trial.driver.nodes, Path(trial.node("db").data or "")
        first = (data / "PG_VERSION").stat().st_mtime_ns
        (data / "mine").write_text("")
        await nodes.pause("db")
        await nodes.kill("db", wipe=True)
        gone = not data.exists()
        await nodes.run("db")
        again = (data / "PG_VERSION").stat().st_mtime_ns
        await nodes.kill("db", wipe=True)
        (data / "half").mkdir(parents=True)  # what a preparation that was cut short may leave
        await nodes.run("db")
        third = (data / "PG_VERSION").stat().st_mtime_ns
        await nodes.kill("db")
        await nodes.run("db")
        return {
            "gone": gone,
            "new": first < again < third,
            "mine": (data / "mine").exists() or (data / "half").exists(),
            "kept": (data / "PG_VERSION").stat().st_mtime_ns == third,
            "answers": await answers(trial, "db"),
        }


async def burnt(trial: Trial, seed: int) -> dict[str, Any]:
    """Burners: what they had, that they end by themselves, and what is said of one that is killed."""
    async with trial:
        nodes, name = trial.driver.nodes, burners_of("cache")
        try:
            await nodes.stress("cache", 10_000.0)
            too_much = ""
        except ChaosKitError as error:
            too_much = f"{error}"
        await nodes.stress("cache", 0.4, time.monotonic_ns() + 600 * 10**9)
        first = trial.driver.pids(name)
        begin = time.monotonic()
        await asyncio.sleep(1.5)
        second = trial.driver.pids(name)
        took = time.monotonic() - begin
        had = sum(float(str(row["cpu_s"])) for row in second) - sum(float(str(row["cpu_s"])) for row in first)
        members = len(trial.driver.pids("cache"))
        await nodes.kill("cache")
        alone = len(trial.driver.pids(name))
        await nodes.run("cache")
        os.kill(int(str(trial.driver.pids(name)[-1]["outer"])), signal.SIGKILL)
        while not trial.ended:
            await asyncio.sleep(0.02)
        told = [(who, code) for who, code, _ in trial.ended]
        rest = trial.driver.pids(name)
        await nodes.stress("cache", 0.5, time.monotonic_ns() + 10**9)
        while trial.driver.pids(name):
            await asyncio.sleep(0.05)
        await nodes.stress("cache", 0.0)
        return {
            "too_much": too_much,
            "share": had / took,
            "burners": len(first),
            "members": members,
            "alone": alone,
            "told": told,
            "rest": rest,
            "ended": len(trial.ended),
            "affinity": sorted(os.sched_getaffinity(0)),
        }


SCENARIOS = {"actions": actions, "overlaps": overlaps, "wiped": wiped, "burnt": burnt}


async def main(name: str, interposition: str, folder: Path, seed: str = "0") -> dict[str, Any]:
    return await SCENARIOS[name](Trial(target_of(folder), interposition, folder), int(seed))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), *sys.argv[4:]))))
