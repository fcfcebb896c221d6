"""A target's folder -> Target: an ordinary Compose file, and `x-chaoskit` for what Compose cannot say.

Unknown and unsupported keys are problems with file, line and key; what is accepted without effect becomes a note.
Nothing of the target is run or imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chaoskit import registry
from chaoskit.errors import Problem, SpecError
from chaoskit.spec.nodes import Node, Place, parse_file
from chaoskit.spec.shapes import BAD, good
from chaoskit.spec.suggest import did_you_mean, listed
from chaoskit.stack.actions import read_actions, read_roles
from chaoskit.stack.links import Draft, beside, derive
from chaoskit.stack.surface import COMPOSE, NOTED, SAFE
from chaoskit.stack.topology import CLIENT, Healthcheck, Service, Target
from chaoskit.stack.workloads import read_workloads

__all__ = ["COMPOSE_NAMES", "load_target", "read_target"]

COMPOSE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_LATER = "NODE_"  # variables that are replaced when a node starts


def load_target(path: Path, environ: Mapping[str, str]) -> Target:
    """The target in a folder, or of a Compose file.

    Raises:
        SpecError: all mistakes found, the user's to mend.
    """
    target, problems = read_target(path, environ)
    if problems or target is None:
        raise SpecError(problems)
    return target


def read_target(path: Path, environ: Mapping[str, str]) -> tuple[Target | None, list[Problem]]:
    """The target, None when anything is wrong with it, and everything that is."""
    path = path.absolute()
    file = path
    if path.is_dir():
        found = [path / name for name in COMPOSE_NAMES if (path / name).is_file()]
        if not found:
            what = "has no compose.yaml"
            return None, [Problem(_shown(path), 0, 0, what, "a target is a folder with a Compose file in it")]
        file = found[0]
    problems: list[Problem] = []
    root, _ = parse_file(file, _shown(file), environ, problems, keep=_LATER)
    if root is None:
        return None, problems
    values = COMPOSE.read(root, "", problems)
    if values is BAD:
        return None, problems
    target = _Assembly(file, root, values, environ, problems).target()
    return (None if problems else target), problems


def _shown(path: Path) -> str:
    """A path as people would type it: relative where it is below the working directory."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):
        return str(path)


class _Assembly:
    """Values of the tables -> Target. What is BAD is on record already and left out."""

    def __init__(
        self, file: Path, root: Node, values: Mapping[str, Any], environ: Mapping[str, str], problems: list[Problem]
    ) -> None:
        self._file, self._root, self._environ, self._problems = file, root, environ, problems
        self._values = values
        services = values.get("services", BAD)
        self._services: dict[str, dict[str, Any]] = {
            name: found if good(found) else {} for name, found in (services.items() if good(services) else ())
        }
        extension = values.get("x-chaoskit", BAD)
        self._extension: dict[str, Any] = extension if good(extension) else {}
        self._environments = {name: self._environment(name) for name in self._services}

    def _place(self, *path: str | int) -> Place:
        return self._root.walk(path).place

    def _key(self, *path: str) -> Place:
        """Place of a key (not of its value)."""
        parent = self._root.walk(path[:-1])
        return next((key.place for key, _ in parent.entries if key.text == path[-1]), parent.place)

    def _problem(self, place: Place, what: str, why: str = "", hint: str = "") -> None:
        self._problems.append(place.problem(what, why, hint))

    def _extended(self, key: str) -> Any:
        """A value of x-chaoskit, None when it is not there or BAD."""
        value = self._extension.get(key)
        return value if value is not None and good(value) else None

    def target(self) -> Target:
        drafts = [self._draft(name) for name in self._services]
        self._distinct(drafts)
        by_name = {draft.name: draft for draft in drafts}
        for section in ("process", "replicas", "safe_to_break"):
            for name in self._extended(section) or ():
                if name not in by_name:
                    place = self._key("x-chaoskit", section, name)
                    what = f"x-chaoskit.{section} names {name!r}, which is no service"
                    self._problem(place, what, "", did_you_mean(name, by_name))
        entries = self._entries(by_name)
        clients = self._clients([node for entry in entries for node in entry.nodes])
        topology = derive(drafts, entries, self._problems, clients)
        return Target(
            name=self._values["name"] if good(self._values.get("name", BAD)) else self._file.parent.name,
            folder=str(self._file.parent),
            compose_file=str(self._file),
            services=tuple(self._service(draft) for draft in drafts),
            topology=topology,
            entry=entries[0].name if entries else "",
            workloads=read_workloads(self._root, self._extension, self._file.parent, _shown, self._problems),
            failover_bound=self._extended("failover_bound") or 0.0,
            gossips=bool(self._extended("gossips")),
            notes=tuple(self._noted()),
            clients=clients,
            actions=read_actions(self._root, self._extension, self._file.parent, _shown, self._problems),
            roles=read_roles(
                self._root,
                self._extension,
                self._file.parent,
                [node for draft in drafts for node in draft.nodes],
                _shown,
                self._problems,
            ),
        )

    def _noted(self) -> list[str]:
        """What the file says and chaoskit does not do."""
        notes = [
            f"services.{name}.{key}: {NOTED[key]}"
            for name, found in self._services.items()
            for key in found
            if NOTED.get(key)
        ]
        return notes + (["version: obsolete in Compose, without effect"] if "version" in self._values else [])

    def _distinct(self, drafts: list[Draft]) -> None:
        taken: dict[str, Draft] = {}
        for draft in drafts:
            for node in draft.nodes:
                if node == CLIENT or node.startswith(f"{CLIENT}@"):
                    self._problem(
                        draft.place, f"{node!r} is what chaoskit calls the source of the traffic", "", "rename it"
                    )
                elif node in taken:
                    self._problem(
                        draft.place, f"two nodes are called {node!r}", f"of {taken[node].name} and {draft.name}"
                    )
                taken[node] = draft

    def _entries(self, drafts: Mapping[str, Draft]) -> list[Draft]:
        """The services that clients talk to."""
        if "entry" in self._extension:
            names = dict.fromkeys(self._extended("entry") or ())
            for name in names:
                if name not in drafts:
                    place = self._item("x-chaoskit", "entry", name)
                    self._problem(place, f"the entry {name!r} is no service", "", did_you_mean(name, drafts))
            return [drafts[name] for name in names if name in drafts]
        if len(drafts) == 1:
            return list(drafts.values())
        if drafts and good(self._values.get("x-chaoskit", BAD)):
            why = "the service that clients talk to"
            self._problem(self._key("x-chaoskit"), "x-chaoskit.entry is missing", why, f"one of: {listed(drafts)}")
        return []

    def _clients(self, nodes: Sequence[str]) -> tuple[str, ...]:
        """The client nodes: one that dials all of the entry's nodes, or one beside each that is named."""
        written = self._extended("clients") or "outside"
        if written == "outside":
            return (CLIENT,)
        for name in written if isinstance(written, tuple) else ():
            if name not in nodes:
                what, why = f"{name!r} is no node of the entry", "clients stand beside nodes that they can talk to"
                self._problem(self._item("x-chaoskit", "clients", name), what, why, did_you_mean(name, nodes))
        chosen = [node for node in nodes if written == "beside" or node in written]
        return tuple(map(beside, chosen)) or (CLIENT,)

    def _recipe(self, name: str) -> dict[str, Any]:
        found = (self._extended("process") or {}).get(name, {})
        return found if good(found) else {}

    def _draft(self, name: str) -> Draft:
        """What one service says of itself."""
        found, recipe = self._services[name], self._recipe(name)
        place = self._key("services", name)
        self._startable(name, place)
        draft = Draft(name, place, self._nodes(name))
        server = recipe.get("server", BAD)
        known = registry.load("server", server) if good(server) else None
        draft.protocol = recipe["protocol"] if good(recipe.get("protocol", BAD)) else known.protocol if known else None
        ports: list[int] = [recipe["port"]] if good(recipe.get("port", BAD)) else []
        for values in (recipe.get("ports", ()), found.get("expose", ()), found.get("ports", ())):
            ports += values if good(values) else ()
        if known is not None and not ports:
            ports = [known.port]
        draft.ports, draft.declared = list(dict.fromkeys(ports)), bool(ports)
        depends_on = found.get("depends_on", ())
        for other in depends_on if good(depends_on) else ():
            draft.depends_on.append((other, self._item("services", name, "depends_on", other)))
        draft.texts = self._texts(name)
        return draft

    def _startable(self, name: str, place: Place) -> None:
        found, recipe = self._services[name], self._recipe(name)
        if not found.get("image") and not found.get("build"):
            self._problem(place, f"{name} has neither image nor build", "one says what it is")
        processes = self._extension.get("process", {})
        if name not in (processes if good(processes) else {name: None}):
            guess = next((s for s in registry.names("server") if s in str(found.get("image", ""))), None)
            recipe_hint = f"{{server: {guess}}}" if guess else "{command: [...], port: ...}"
            why = "how it starts as a local process is not said"
            self._problem(place, f"{name} has no recipe", why, f"add x-chaoskit: process: {name}: {recipe_hint}")
        elif ("server" in recipe) == ("command" in recipe) and good(*recipe.values()) and name in (processes or {}):
            what = "both server and command" if "server" in recipe else "neither server nor command"
            self._problem(
                self._key("x-chaoskit", "process", name), f"the recipe of {name} has {what}", "it is one of them"
            )

    def _nodes(self, name: str) -> tuple[str, ...]:
        replicas = (self._extended("replicas") or {}).get(name)
        if replicas is None or not good(replicas):
            return (name,)
        return tuple(f"{name}-{i}" for i in range(1, replicas + 1)) if isinstance(replicas, int) else tuple(replicas)

    def _item(self, *path: str) -> Place:
        """Place of an entry of a list, or of a key of a map, by its text."""
        node = self._root.walk(path[:-1])
        found = [item for item in (*node.items, *(key for key, _ in node.entries)) if item.text == path[-1]]
        return found[0].place if found else node.place

    def _texts(self, name: str) -> list[tuple[str, Place]]:
        """Whatever may contain addresses of others."""
        texts: list[tuple[str, Place]] = []
        for key, value in self._environments[name].items():
            texts.append((value, self._place("services", name, "environment", key)))
        for path in (
            ("services", name, "command"),
            ("services", name, "entrypoint"),
            ("x-chaoskit", "process", name, "command"),
        ):
            node = self._root
            for step in path:
                node = node.get(step) or Node("map", node.place)
            texts += [(item.text, item.place) for item in (node.items or [node]) if item.kind == "scalar"]
        return texts

    def _environment(self, name: str) -> dict[str, str]:
        """Variables of a service; what has no value is the caller's."""
        found = self._services[name].get("environment", {})
        made: dict[str, str] = {}
        for key, value in (found if good(found) else {}).items():
            if value is None and key not in self._environ:
                place = self._item("services", name, "environment", key)
                hint = f"export {key}=… or write {key}=value"
                self._problem(place, f"{key} of {name} has no value and is not set in the environment", "", hint)
            made[key] = self._environ.get(key, "") if value is None else value
            if "${" + _LATER in made[key]:
                place = self._place("services", name, "environment", key)
                why = f"${{{_LATER}…}} is known only to commands under x-chaoskit: process"
                self._problem(place, f"{key} of {name} uses a variable of the node", why, "pass it in the command")
        return made

    def _service(self, draft: Draft) -> Service:
        name = draft.name
        found, recipe = self._services[name], self._recipe(name)
        get = {key: value for key, value in found.items() if good(value)}
        own = {key: value for key, value in recipe.items() if good(value)}
        context = self._context(name, get.get("build"))
        safe = (self._extended("safe_to_break") or {}).get(name, SAFE)
        return Service(
            name=name,
            image=get.get("image"),
            context=str(context) if context else None,
            requirements=self._requirements(name, own, context),
            server=own.get("server"),
            process_command=own.get("command"),
            command=tuple(get.get("command") or ()),
            build=own.get("build"),
            environment=self._environments[name],
            ports=tuple(draft.ports),
            protocol=draft.protocol or "tcp",
            health_path=own.get("health_path", "/"),
            healthcheck=self._healthcheck(get.get("healthcheck")),
            depends_on=tuple(other for other, _ in draft.depends_on),
            safe_to_break=tuple(safe) if good(safe) else SAFE,
            start_timeout=own.get("start_timeout", 30.0),
        )

    def _context(self, name: str, build: Any) -> Path | None:
        text = build.get("context", BAD) if isinstance(build, dict) else build
        if text is None or not good(text):
            return None
        folder = (self._file.parent / str(text)).resolve()
        if not folder.is_dir():
            node = self._root.walk(("services", name, "build"))
            place = (node.get("context") or node).place
            self._problem(place, f"the build context {text!r} of {name} is no folder", f"looked at {folder}")
        return folder

    def _requirements(self, name: str, recipe: Mapping[str, Any], context: Path | None) -> str | None:
        folder = context or self._file.parent
        written = recipe.get("requirements")
        if written is None:
            usual = folder / "requirements.txt"
            return str(usual) if "command" in recipe and context is not None and usual.is_file() else None
        file = (folder / written).resolve()
        if not file.is_file():
            place = self._place("x-chaoskit", "process", name, "requirements")
            self._problem(place, f"{written!r} of {name} does not exist", f"looked at {file}")
        return str(file)

    def _healthcheck(self, found: Any) -> Healthcheck | None:
        """The check, durations in seconds; None = a probe that speaks the protocol."""
        if not isinstance(found, dict) or found.get("disable") is True or not good(found.get("test", BAD)):
            return None
        if found["test"] is None:
            return None
        keys = ("test", "interval", "timeout", "retries", "start_period")
        return Healthcheck(**{key: found[key] for key in keys if key in found and good(found[key])})
