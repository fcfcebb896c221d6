"""Counts what a run has left: from outside, by /proc and by trying, never by asking the code that is on trial."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

HELD_PORT = 61474


class Member(NamedTuple):
    pid: int
    parent: int
    state: str
    command: str
    ns_pids: tuple[int, ...]


def members(run: str, folder: Path) -> list[Member]:
    """Everything alive that carries the run's mark, or has its folder in its command line or as its output."""
    mark, path = f"CHAOSKIT_RUN={run}".encode(), str(folder).encode()
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes()
            mine = path in command or mark in (place / "environ").read_bytes().split(b"\0")
            if not mine:
                mine = any(str(folder) in str((place / "fd" / fd).readlink()) for fd in ("1", "2"))
            words = (place / "stat").read_text().rpartition(")")[2].split()
            if not mine or words[0] in "ZX" or int(place.name) == os.getpid():
                continue
            status = (place / "status").read_text()
            pids = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
            text = command.replace(b"\0", b" ").decode(errors="replace").strip()
            found.append(Member(int(place.name), int(words[1]), words[0], text, tuple(map(int, pids))))
        except (OSError, StopIteration, ValueError):
            continue
    return found


def victims(kind: str, found: list[Member], engine: int, halted: int | None) -> list[int]:
    """Pids (outer) of a kind of member; nothing when it is not there."""
    supervisors = [one for one in found if "chaoskit.safety.supervisor" in one.command]
    inner = [one.pid for one in supervisors if any(one.parent == other.pid for other in supervisors)]
    match kind:
        case "engine":
            return [engine]
        case "outer":
            return [one.pid for one in supervisors if one.pid not in inner]
        case "inner":
            return inner
        case "proxy":
            served = ("chaoskit.toxiproxy.server", "-proxy-metrics", os.environ.get("TOXIPROXY_SERVER") or "no such")
            return [one.pid for one in found if any(word in one.command for word in served) and _program(one)]
        case "worker":
            return [one.pid for one in found if "client.py" in one.command and _program(one)]
        case "halted":
            known = ("chaoskit.safety.supervisor", "chaoskit.linux.launcher")
            return [
                one.pid for one in found if one.ns_pids[-1] == halted and any(word in one.command for word in known)
            ]
    raise ValueError(kind)


def _program(one: Member) -> bool:
    """Not the launcher in front of it."""
    return "chaoskit.linux.launcher" not in one.command


def listening(prefix: str) -> list[str]:
    """Listeners on addresses that begin like this."""
    found = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if words[3] == "0A":
            raw, _, port = words[1].partition(":")
            text = f"{socket.inet_ntoa(bytes.fromhex(raw)[::-1])}:{int(port, 16)}"
            if text.startswith(prefix):
                found.append(text)
    return found


def mounts(folder: Path) -> set[str]:
    """Mounts of this process's namespace where the code on trial makes some."""
    places = ("/etc/hosts", "/etc/nsswitch.conf", "/run/nscd", "/proc", "/tmp")
    return {
        line
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
        if line.split()[4] in places or line.split()[4].startswith(str(folder))
    }


def held_lease(control: str) -> list[str]:
    """The address lease of a stack, if somebody holds it still."""
    host = control.rpartition(":")[0]
    if host == "127.0.0.1":
        return []  # ports: whoever holds them is a listener or a process
    lease = f"{'.'.join(host.split('.')[:2])}.255.254"
    with socket.socket() as trial:
        try:
            trial.bind((lease, HELD_PORT))
        except OSError:
            return [f"{lease}:{HELD_PORT}"]
    return []


def state_files(state: Path) -> list[str]:
    """Files of the state folder, and its lock if somebody holds it."""
    active = state / "active"
    if not active.exists():
        return []
    found = [path.name for path in active.iterdir()]
    fd = os.open(active, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        found.append("the lock of the folder")
    finally:
        os.close(fd)
    return found


def run_files(folder: Path) -> list[str]:
    """What a run's folder must not hold when it is over: data, sockets, files half written."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.name.startswith(".") or path.is_socket() or "data" in path.relative_to(folder).parts[2:-1]
    ]


def bent(control: str) -> list[str]:
    """Links of a living proxy that are not clean."""
    with urllib.request.urlopen(f"http://{control}/proxies", timeout=5) as answer:
        proxies: dict[str, Any] = json.load(answer)
    return [name for name, proxy in proxies.items() if proxy["toxics"] or not proxy["enabled"]]
