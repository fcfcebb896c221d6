"""What is up, where it listens and what is bent, as data: for the table of `up` and `status`, and for `--json`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from chaoskit.hand.talk import how_to_talk
from chaoskit.stack.launch import StackSpec
from chaoskit.stack.topology import Target
from chaoskit.store import RunDir

__all__ = ["Table"]

_NOTES = 20


class Table:
    """Of one stack; grows as it comes up. `until`: seconds since the epoch, when it ends by itself."""

    def __init__(self, target: Target, folder: RunDir, until: float) -> None:
        self._target, self._folder, self._until = target, folder, until
        self._since = time.time()
        self._stack: StackSpec | None = None
        self._ready: dict[str, float] = {}
        self._notes: list[str] = []

    def up(self, stack: StackSpec, ready: Mapping[str, float]) -> None:
        """It is up: seconds until each node was ready."""
        self._stack, self._ready = stack, dict(ready)

    def note(self, text: str) -> None:
        """Something that happened by itself."""
        self._notes = [*self._notes, f"{time.strftime('%H:%M:%S')} {text}"][-_NOTES:]

    def summary(
        self, faults: Sequence[Mapping[str, Any]], pids: Mapping[str, Sequence[Mapping[str, object]]], *, ending: bool
    ) -> dict[str, Any]:
        """The whole of it. `pids`: processes of each node, as in /proc now."""
        stack = self._stack
        active = [fault for fault in faults if fault["state"] not in ("healed",)]
        return {
            "name": self._folder.path.parent.name,
            "run": self._folder.id,
            "directory": str(self._folder.path),
            "target": self._target.folder,
            "state": "ending" if ending else "starting" if stack is None else "up",
            "since": self._since,
            "until": self._until,
            "interposition": stack.interposition if stack else None,
            "toxiproxy": {"server": stack.toxiproxy, "control": stack.control} if stack else None,
            "nodes": [] if stack is None else [self._node(node.name, pids) for node in stack.nodes],
            "links": [] if stack is None else [self._link(name, active) for name in stack.canaries],
            "faults": list(faults),
            "notes": list(self._notes),
        }

    def _node(self, name: str, pids: Mapping[str, Sequence[Mapping[str, object]]]) -> dict[str, Any]:
        assert self._stack is not None
        letters = [str(found["state"]) for found in pids.get(name, ())]
        state = "down" if not letters else "paused" if all(letter in "Tt" for letter in letters) else "running"
        real = [place for key, place in self._stack.real.items() if key.rpartition(":")[0] == name]
        return {
            "name": name,
            "state": state,
            "processes": len(letters),
            "listens": real,
            "ready_s": self._ready.get(name),
            "log": next(node.log for node in self._stack.nodes if node.name == name),
        }

    def _link(self, name: str, active: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        assert self._stack is not None
        host, port, protocol, path = self._stack.canaries[name]
        source, _, destination = name.partition("->")
        node, _, asked = destination.rpartition(":")
        service = self._target.service_of(node)
        first = service.ports[:1] == (int(asked),)
        return {
            "id": name,
            "source": source,
            "listen": f"{host}:{port}",
            "protocol": protocol,
            "talk": how_to_talk(host, port, protocol, path, service, for_clients=first),
            "bent_by": [str(fault["id"]) for fault in active if name in fault["links"]],
        }
