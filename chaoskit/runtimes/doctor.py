"""What this machine can do for the process runtime, as facts with a remedy each. Tries things, starts no stack."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from chaoskit import linux
from chaoskit.errors import ChaosKitError
from chaoskit.registry import load, names
from chaoskit.runtimes.cache import cache_folder
from chaoskit.runtimes.leases import LEASES, free_leases
from chaoskit.runtimes.servers import Recipe

__all__ = ["Fact", "facts"]

_OLDEST = (3, 11)
_ROOM = 1_000_000_000  # bytes that a few runs with their data folders need


class Fact(NamedTuple):
    """One thing that was looked at. `required`: nothing runs without it; `remedy` is "" where nothing need be done."""

    name: str
    ok: bool
    detail: str
    remedy: str
    required: bool


def facts(folder: Path | None = None) -> list[Fact]:
    """All facts, what is required first. `folder`: where runs are kept (default: the current one). Never raises."""
    looks: list[Callable[[], Fact]] = [
        _python,
        _proc,
        _interposition,
        _pids,
        *(partial(_server, name) for name in names("server")),
        _leases,
        partial(_room, folder or Path()),
        _cache,
        _uvloop,
    ]
    found = []
    for look in looks:
        try:
            found.append(look())
        except (ChaosKitError, OSError) as error:
            hint = getattr(error, "hint", None) or ""
            name = getattr(look, "func", look).__name__.strip("_")
            found.append(Fact(name, False, str(getattr(error, "message", error)), hint, False))
    return sorted(found, key=lambda fact: not fact.required)


def _python() -> Fact:
    ok = sys.version_info >= _OLDEST
    oldest = ".".join(map(str, _OLDEST))
    detail = f"{platform.python_version()} at {sys.executable}"
    return Fact("python", ok, detail, "" if ok else f"use Python {oldest} or newer", True)


def _proc() -> Fact:
    try:
        count = len(linux.processes())
    except ChaosKitError as error:
        return Fact("/proc", False, error.message, error.hint or "", True)
    return Fact("/proc", True, f"shows {count} processes", "", True)


def _interposition() -> Fact:
    found = linux.probe()
    if found.hosts:
        detail = "hosts: each process can have names of its own, one link per directed pair of nodes"
        return Fact("interposition", True, detail, "", False)
    detail = f"rewrite only, targets that gossip cannot run: {found.reason}"
    return Fact("interposition", False, detail, found.remedy, False)


def _pids() -> Fact:
    found = linux.probe()
    if found.pids:
        return Fact("PID namespaces", True, "a node is one: when its first process ends, all end", "", False)
    detail = f"not to be had, a subreaper stands in: {found.reason}"
    return Fact("PID namespaces", False, detail, found.remedy, False)


def _server(name: str) -> Fact:
    recipe: Recipe = load("server", name)
    versions = recipe.versions()
    detail = f"embedded, version {' and '.join(versions)}" if versions else "not installed"
    return Fact(name, bool(versions), detail, "" if versions else 'pip install "chaoskit[embedded]"', False)


def _leases() -> Fact:
    count = free_leases()
    remedy = "" if count else "end other runs on this machine"
    return Fact("address leases", count > 0, f"{count} of {len(LEASES)} free (127.2.x.y to 127.254.x.y)", remedy, False)


def _room(folder: Path) -> Fact:
    free = shutil.disk_usage(folder).free
    ok = free >= _ROOM and os.access(folder, os.W_OK)
    detail = f"{free / 1e9:.1f} GB free in {folder.absolute()}" + (
        "" if os.access(folder, os.W_OK) else ", not writable"
    )
    return Fact(
        "room for runs", ok, detail, "" if ok else "free some space, or choose another place with --runs", False
    )


def _cache() -> Fact:
    return Fact("cache", True, f"environments of apps are kept in {cache_folder('venvs')}", "", False)


def _uvloop() -> Fact:
    try:
        return Fact("uvloop", True, version("uvloop"), "", False)
    except PackageNotFoundError:
        return Fact(
            "uvloop", False, "not installed: proxy and load reach their limits earlier", "pip install uvloop", False
        )
