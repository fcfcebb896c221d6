"""The Compose file as tables: which keys are used, which are accepted without effect, which are refused and why.

Keys follow the Compose specification; `x-chaoskit` says what Compose cannot. Read by `compose.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

from chaoskit.errors import Problem
from chaoskit.spec.containers import Key, Lines, ListOf, Map, Named
from chaoskit.spec.nodes import Node
from chaoskit.spec.shapes import (
    BAD,
    DURATION,
    FLAG,
    NAME,
    TEXT,
    Choice,
    Raw,
    Registered,
    Text,
    Whole,
    good,
    text_of,
    written,
)
from chaoskit.spec.surface import WeightShape
from chaoskit.stack.topology import Protocol

__all__ = ["COMPOSE", "NOTED", "SAFE"]

SAFE = ("links", "kill", "pause")
_PORT = Whole(1, 65535)


class Anything:
    """A value that is not looked at."""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The node itself."""
        return node

    def schema(self) -> dict[str, Any]:
        """Any value."""
        return {}


class Either(NamedTuple):
    """A map of one shape, or anything else of another."""

    mapping: Map
    other: Any

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """What the fitting shape reads."""
        return (self.mapping if node.kind == "map" else self.other).read(node, label, problems)

    def schema(self) -> dict[str, Any]:
        """Either of them."""
        return {"anyOf": [self.mapping.schema(), self.other.schema()]}


class Environment:
    """A map of variables, or a list of NAME=value; NAME alone (or a variable without a value in a map) is None."""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """Value by name; None = to be taken from the caller's environment."""
        if node.kind != "list":
            found = Named(Raw(), "variables", matching=r"[A-Za-z_][A-Za-z0-9_.-]*").read(node, label, problems)
            if found is BAD or not good(*found.values()):
                return BAD
            return {key.text: None if value.is_null else found[key.text] for key, value in node.entries}
        values: dict[str, str | None] = {}
        for item in node.items:
            text = text_of(item, label, "NAME=value", problems)
            if text is None:
                return BAD
            name, equals, value = text.partition("=")
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name):
                problems.append(item.place.problem(f"{label} has {text!r}", "NAME=value is expected"))
                return BAD
            values[name] = value if equals else None
        return values

    def schema(self) -> dict[str, Any]:
        """A map or a list."""
        return {"type": ["object", "array"]}


class PublishedPort:
    """An entry of `ports`: only the container's side matters."""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The port of the container."""
        if node.kind == "map":
            entry = {"published": Key(Raw()), "host_ip": Key(Raw()), "name": Key(Raw()), "mode": Key(Raw())}
            keys = {"target": Key(_PORT, required=True), "protocol": Key(Choice(("tcp",), "supported"))}
            return Map(keys | entry).read(node, label, problems)["target"]
        text = text_of(node, label, "a port", problems, 'such as "8000" or "8080:8000"')
        if text is None:
            return BAD
        match = re.fullmatch(r"(?:.*:)?([0-9]{1,5})(?:/(tcp|udp))?", text)
        if match is None or match[2] == "udp" or not 1 <= int(match[1]) <= 65535:
            why = "UDP is not bent" if match and match[2] == "udp" else "one TCP port per entry is expected"
            problems.append(node.place.problem(f"{label} is {written(node)}", why, 'such as "8000" or "8080:8000"'))
            return BAD
        return int(match[1])

    def schema(self) -> dict[str, Any]:
        """Text, a number or a map."""
        return {"type": ["string", "integer", "object"]}


class DependsOn:
    """A list of services, or a map of conditions."""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The services, as a tuple."""
        if node.kind == "list":
            return ListOf(NAME).read(node, label, problems)
        conditions = Choice(("service_started", "service_healthy"), "a condition that is supported")
        entry = Map({"condition": Key(conditions), "restart": Key(FLAG), "required": Key(FLAG)})
        found = Named(entry, "services").read(node, label, problems)
        return tuple(found) if good(found) else BAD

    def schema(self) -> dict[str, Any]:
        """A list or a map."""
        return {"type": ["object", "array"]}


class Test:
    """A healthcheck's test: `CMD` and an argument list, `CMD-SHELL` and a line, `NONE`, or a line."""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """A tuple of arguments, one line for a shell, or None for NONE."""
        if node.kind != "list":
            return TEXT.read(node, label, problems)
        words = ListOf(Raw(), least=1).read(node, label, problems)
        if words is BAD:
            return BAD
        if words == ("NONE",):
            return None
        if words[0] == "CMD" and len(words) > 1:
            return words[1:]
        if words[0] == "CMD-SHELL" and len(words) == 2:
            return words[1]
        why = "it begins with CMD (and arguments), CMD-SHELL (and one line) or NONE"
        problems.append(node.place.problem(f"{label} begins with {words[0]!r}", why))
        return BAD

    def schema(self) -> dict[str, Any]:
        """Text or a list."""
        return {"type": ["string", "array"]}


class Replicas:
    """Names of nodes, or how many."""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """A tuple of names, or a number."""
        if node.kind == "list":
            return ListOf(NAME, least=1).read(node, label, problems)
        return Whole(1, 100).read(node, label, problems)

    def schema(self) -> dict[str, Any]:
        """A list or a number."""
        return {"type": ["array", "integer"]}


class Clients:
    """`outside`, `beside`, or the nodes of the entry beside which clients stand."""

    _WORDS = Choice(("outside", "beside"), "a place for clients")

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """One of the words, or a tuple of names."""
        return (ListOf(NAME, least=1) if node.kind == "list" else self._WORDS).read(node, label, problems)

    def schema(self) -> dict[str, Any]:
        """A word or a list."""
        return {"anyOf": [self._WORDS.schema(), ListOf(NAME, least=1).schema()]}


class Volume:
    """An entry of `volumes`: named or nameless ones pass, files of the host cannot be there."""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """The node itself."""
        kind, source = node.get("type"), node.get("source")
        bound = node.kind == "scalar" and ":" in node.text and node.text.startswith((".", "/", "~"))
        if bound or (kind is not None and kind.text == "bind"):
            what = f"{label} mounts {(source or node).text!r} of the host"
            problems.append(node.place.problem(what, _FILES))
            return BAD
        return node

    def schema(self) -> dict[str, Any]:
        """Text or a map."""
        return {"type": ["string", "object"]}


# Accepted without effect: the note that `plan` prints, empty where nobody would miss the effect.
NOTED: Mapping[str, str] = {
    "restart": "a node that was killed stays down until its fault ends: restart policies are not followed",
    "volumes": "volumes are not mounted: each node has a data folder of its own that survives its restarts",
    "user": "`user` is for containers: processes run as whoever runs chaoskit",
    "working_dir": "`working_dir` is for containers: processes start in the build context",
    "deploy": "`deploy` is for containers: the number of nodes is x-chaoskit.replicas",
    "labels": "",
    "container_name": "",
    "hostname": "",
    "init": "",
    "stop_signal": "",
    "stop_grace_period": "",
    "platform": "",
    "pull_policy": "",
    "logging": "",
    "shm_size": "",
}
_ALONE = "chaoskit makes the networks, because that is where links are bent; remove it"
_FILES = "processes have no files of their own; put them into the build context"
_REFUSED: Mapping[str, str] = {
    "networks": _ALONE,
    "network_mode": _ALONE,
    "links": _ALONE,
    "extra_hosts": "names are resolved by chaoskit, so that each goes through its link; remove it",
    "dns": "names are resolved by chaoskit, so that each goes through its link; remove it",
    "configs": _FILES,
    "secrets": _FILES,
    "env_file": "write the variables under environment, with ${VAR} for secrets",
    "profiles": "all services of a target are started; put the others into a file of their own",
    "extends": "write the service out, or use an anchor and <<",
    "scale": "write x-chaoskit: replicas: {service: 3}",
    "privileged": "local processes have no more rights than whoever runs chaoskit; remove it",
    "cap_add": "local processes have no more rights than whoever runs chaoskit; remove it",
}

_BUILD = Map(
    {
        "context": Key(TEXT, "Folder with the code.", required=True),
        "dockerfile": Key(TEXT, "For containers."),
        "args": Key(Environment(), "For containers."),
        "target": Key(TEXT, "For containers."),
    }
)
_HEALTH = Map(
    {
        "test": Key(Test(), "Command that succeeds when the service is ready."),
        "interval": Key(DURATION, "Time between two tests."),
        "timeout": Key(DURATION, "Time that a test may take."),
        "retries": Key(Whole(1, 1000), "Failures in a row that count."),
        "start_period": Key(DURATION, "Time in which failures do not count."),
        "start_interval": Key(DURATION, "Time between two tests in that time."),
        "disable": Key(FLAG, "No healthcheck."),
    }
)
_SERVICE = Map(
    {
        "image": Key(TEXT, "Image for containers."),
        "build": Key(Either(_BUILD, TEXT), "Folder with the code."),
        "environment": Key(Environment(), "Variables."),
        "command": Key(Lines(), "Command in the container."),
        "entrypoint": Key(Lines(), "Entrypoint of the container."),
        "depends_on": Key(DependsOn(), "Services that must be ready first."),
        "ports": Key(ListOf(PublishedPort()), "Published ports; the container's side counts."),
        "expose": Key(ListOf(PublishedPort()), "Ports that the service listens on."),
        "healthcheck": Key(_HEALTH, "How to see that it is ready."),
        **{key: Key(ListOf(Volume()) if key == "volumes" else Anything(), note) for key, note in NOTED.items()},
        **{key: Key(None, refuse=why) for key, why in _REFUSED.items()},
    },
    extensions=True,
)
_RECIPE = Map(
    {
        "server": Key(Registered("server", "an embedded server"), "An embedded server."),
        "command": Key(Lines(), "What starts the service as a local process."),
        "build": Key(Lines(), "Command that is run once before the first start."),
        "requirements": Key(TEXT, "File with the Python packages of the app."),
        "port": Key(_PORT, "The port that it listens on."),
        "ports": Key(ListOf(_PORT, least=1), "The ports that it listens on, the main one first."),
        "protocol": Key(Choice(get_args(Protocol), "a protocol"), "What it speaks."),
        "health_path": Key(Text("a path", r"/\S*", "/health"), "Path that answers 2xx when it is ready."),
        "start_timeout": Key(DURATION.above_zero(), "How long the start may take."),
    }
)
_KIND = Choice(("read", "write"), "a kind of operation")


class ClassShape:
    """`write`, or `{kind: write, weight: 3}`."""

    def read(self, node: Node, label: str, problems: list[Problem]) -> Any:
        """(kind, weight)."""
        if node.kind != "map":
            kind = _KIND.read(node, label, problems)
            return (kind, 1.0) if good(kind) else BAD
        keys = {"kind": Key(_KIND, "read or write", required=True), "weight": Key(WeightShape())}
        found = Map(keys).read(node, label, problems)
        return (found["kind"], found.get("weight", 1.0)) if good(*found.values()) else BAD

    def schema(self) -> dict[str, Any]:
        """Text or a map."""
        return {"type": ["string", "object"]}


_CLASSES = Key(Named(ClassShape(), "operation classes", least=1), "Operation classes and their kinds.")
_INVARIANTS = Key(ListOf(Registered("invariant", "an invariant")), "What its histories can be checked for.")
_WORKLOAD = Map(
    {
        "file": Key(TEXT, "Python file with the workload.", required=True),
        "factory": Key(Text("a Python name", r"[A-Za-z_]\w*", "workload"), "The callable in it. Default: workload."),
        "classes": Key(_CLASSES.shape, _CLASSES.doc, required=True),
        "invariants": _INVARIANTS,
    }
)
_PYTHON = Text("a Python name", r"[A-Za-z_]\w*", "move_leader")
_CALL = {
    "file": Key(TEXT, "Python file with the function. Default: actions.py."),
    "function": Key(_PYTHON, "The function in it. Default: the name, with _ for -."),
    "timeout": Key(DURATION.above_zero(), "How long it may take."),
}
_ACTION = Map(
    {
        **_CALL,
        "arguments": Key(ListOf(_PYTHON), "Names of the arguments that it takes beside the place."),
        "undo": Key(NAME, "The action that takes it back when its fault ends."),
    }
)
_ROLE = Map({**_CALL, "nodes": Key(ListOf(NAME, least=1), "Nodes that can hold the role.", required=True)})
_EXTENSION = Map(
    {
        "entry": Key(ListOf(NAME, lone=True, least=1), "The service that clients talk to, or several of them."),
        "clients": Key(Clients(), "Where clients stand: outside (default), beside each node of the entry, or a list."),
        "process": Key(Named(_RECIPE, "services"), "How each service starts as a local process."),
        "workloads": Key(Named(_WORKLOAD, "workloads"), "Streams of operations."),
        "workload": Key(TEXT, "Short form: the only workload's file."),
        "classes": _CLASSES,
        "invariants": _INVARIANTS,
        "replicas": Key(Named(Replicas(), "services"), "Nodes of a service: their names or how many."),
        "gossips": Key(FLAG, "Members tell each other their addresses."),
        "failover_bound": Key(DURATION, "How long a failover may take by design."),
        "actions": Key(Named(_ACTION, "actions"), "What the target can be told to do."),
        "roles": Key(Named(_ROLE, "roles"), "Roles that one node holds at a time, and how to ask which."),
        "safe_to_break": Key(
            Named(ListOf(Choice(SAFE, "something that can be hurt")), "services"), "What may be hurt."
        ),
    }
)
COMPOSE = Map(
    {
        "services": Key(Named(_SERVICE, "services", least=1), "The services of the stack.", required=True),
        "name": Key(NAME, "Name of the target."),
        "version": Key(Anything(), "Obsolete."),
        "volumes": Key(Anything(), "Named volumes."),
        "x-chaoskit": Key(_EXTENSION, "What Compose cannot say.", required=True),
        "networks": Key(None, refuse=_ALONE),
        "configs": Key(None, refuse=_FILES),
        "secrets": Key(None, refuse=_FILES),
        "include": Key(None, refuse="a target is one file; write the services out"),
    },
    extensions=True,
)
