"""What the commands `up`, `inject`, `status`, `heal` and `down` do. Cheap to import; `chaoskit.api` passes it on."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from chaoskit.stack.topology import Target

__all__ = ["down", "fault_help", "heal", "inject", "status", "up"]

Told = Callable[[Mapping[str, Any]], None]

_ENDING = 60.0  # seconds for a stack to heal and end
_SHIPPED = Path(__file__).resolve().parents[2] / "targets"


def up(
    target: Path | str,
    *,
    name: str | None = None,
    seconds: float = 8 * 3600.0,
    env: Sequence[str] = (),
    interposition: str = "auto",
    toxiproxy: Literal["embedded", "real"] = "embedded",
    runs: Path | str = "runs",
    told: Told = lambda message: None,
) -> dict[str, Any]:
    """Start a target's stack and leave it up, in the care of a keeper process and its supervisor.

    Args:
        target: folder, Compose file, or the name of a shipped target. name: of the stack, else the target's.
        seconds: until it ends by itself. env: "SERVICE.NAME=VALUE" texts. told: how it goes.

    Returns:
        What is up, where it listens, how to talk to it: as `status`.

    Raises:
        SpecError, PlanError, UsageError: nothing was started. LeftoverError: an earlier run must be recovered first.
        EnvironmentFault, TargetError: it did not come up, and nothing of it is left.
    """
    from chaoskit import registry
    from chaoskit.errors import UsageError
    from chaoskit.hand.calling import begin
    from chaoskit.hand.keeper import Config
    from chaoskit.safety.recover import preflight
    from chaoskit.stack.compose import load_target
    from chaoskit.store import RunDir

    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(f"{name!r} is no name for a stack", hint="use letters, digits, dots, dashes, underscores")
    found = load_target(_place(Path(target)), os.environ)
    overrides = _environment(env, found)
    chosen = registry.load("runtime", "process")().check(found, interposition)
    preflight()
    folder = RunDir.create(Path(runs), name or found.name)
    config = Config(
        run=str(folder.path),
        target=found,
        env=overrides,
        interposition=chosen,
        toxiproxy=toxiproxy,
        seconds=seconds,
    )
    return begin(folder, config.model_dump_json(), told)


def inject(
    fault: str,
    on: Sequence[str] = (),
    *,
    duration: str | None = None,
    parameters: Mapping[str, str] | None = None,
    stack: str | None = None,
    name: str = "",
    told: Told = lambda message: None,
) -> dict[str, Any]:
    """Bend a stack that is up, and wait until it was seen to bite (or not).

    Args:
        on: selectors of links or nodes. duration: "30s", after which it is healed whatever happens.
        parameters: as typed, units and all. stack: which one, where several are up. name: of the fault, for `heal`.
        told: called with `{"event": "begun", "fault": ...}`.

    Returns:
        The fault: `sentence`, `until`, `seen`, `evidence` ...

    Raises:
        UsageError, PlanError: the words are wrong, nothing was bent. LinkError ...: it failed and was taken back.
    """
    from chaoskit.hand.aiming import read_order
    from chaoskit.hand.calling import ask, find

    order = read_order(fault, on, duration, parameters or {}, name=name)
    return ask(find(stack), "inject", told, order=order.model_dump(mode="json"))


def status(stack: str | None = None) -> list[dict[str, Any]]:
    """What is up, what is bent and until when, what was seen of it: one object per stack.

    Raises:
        UsageError: no stack of that name.
    """
    from chaoskit.errors import EnvironmentFault
    from chaoskit.hand.calling import ask, find, stacks

    found = []
    for entry in [find(stack)] if stack is not None else stacks():
        try:
            found.append(ask(entry, "status"))
        except EnvironmentFault as error:
            found.append({"name": entry.name, "run": entry.run, "directory": entry.directory, "state": "lost",
                          "error": error.summary()})  # fmt: skip
    return found


def heal(fault: str | None = None, *, stack: str | None = None) -> dict[str, Any]:
    """Take one fault back, or all of a stack; `{"healed": [fault, ...]}`.

    Raises:
        UsageError: no such fault. HealError: it could not be; the supervisor goes on trying.
    """
    from chaoskit.hand.calling import ask, find

    return ask(find(stack), "heal", id=fault)


def down(stack: str | None = None) -> list[str]:
    """Heal and stop a stack; lines that say what was done. Returns when nothing of it is left.

    Raises:
        UsageError: no such stack. HealError: something is left.
    """
    from chaoskit.errors import EnvironmentFault
    from chaoskit.hand.calling import ask, find
    from chaoskit.safety.recover import stop

    entry = find(stack)
    try:
        ask(entry, "down")
        end = time.monotonic() + _ENDING
        while time.monotonic() < end:
            if not (entry.alive or entry.engine_alive or Path(entry.file).exists()):
                return [f"{entry.name}: healed and ended; its logs are kept in {entry.directory}"]
            time.sleep(0.05)
    except EnvironmentFault:
        pass  # the keeper is dead or hangs: ask the supervisor itself
    return list(stop(entry.run)) if entry.alive else [f"{entry.name}: has ended"]


def fault_help() -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Every fault: name, one line about it, and its parameters with what they mean (for `chaoskit inject --help`)."""
    from chaoskit import registry
    from chaoskit.spec.parameters import fault_schema

    found = []
    for name in registry.names("fault"):
        fault = registry.load("fault", name)
        properties = fault_schema(fault)[0]
        fields = fault.Parameters.model_fields
        needed = {field.alias or key for key, field in fields.items() if field.is_required()}
        rows = [(key, _shape(schema) + (", required" if key in needed else "")) for key, schema in properties.items()]
        found.append((name, fault.summary, rows))
    return found


def _shape(schema: Mapping[str, Any]) -> str:
    """What may be written for a parameter, in a few words."""
    if "enum" in schema:
        text = "|".join(str(value) for value in schema["enum"])
    elif "anyOf" in schema and any("pattern" in one for one in schema["anyOf"]):
        text = str(schema.get("description", "")).rpartition("(")[2].rstrip(")")
    else:
        text = str(schema.get("type", "see docs/faults.md"))
    return text + (f", else {schema['default']}" if schema.get("default") is not None else "")


def _place(target: Path) -> Path:
    """Where a target is: as given, or shipped under that name.

    Raises:
        UsageError: nowhere.
    """
    from chaoskit.errors import UsageError
    from chaoskit.spec.suggest import did_you_mean, listed

    if target.exists():
        return target
    folders = (Path("targets"), _SHIPPED)
    for folder in folders:
        if len(target.parts) == 1 and (folder / target).is_dir():
            return folder / target
    names = sorted({path.parent.name for folder in folders for path in folder.glob("*/compose.yaml")})
    raise UsageError(
        f"there is no target {target}",
        hint=did_you_mean(str(target), names) or f"give a folder, a Compose file, or one of: {listed(names) or 'none'}",
    )


def _environment(texts: Sequence[str], target: Target) -> dict[str, dict[str, str]]:
    """Overrides per service.

    Raises:
        UsageError: one cannot be read, or names no service.
    """
    from chaoskit.errors import UsageError
    from chaoskit.spec.suggest import did_you_mean

    found: dict[str, dict[str, str]] = {}
    services = [service.name for service in target.services]
    for text in texts:
        place, equals, value = text.partition("=")
        service, dot, name = place.partition(".")
        if not equals or not dot or not name:
            raise UsageError(f"--env {text} cannot be read", hint="write --env SERVICE.NAME=VALUE")
        if service not in services:
            raise UsageError(f"--env {text}: {target.name} has no service {service!r}",
                             hint=did_you_mean(service, services))  # fmt: skip
        found.setdefault(service, {})[name] = value
    return found
