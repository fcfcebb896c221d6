"""The environment variables of started processes: little of the caller's own, so that a run is the same anywhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import chaoskit

__all__ = ["app_environment", "base_environment", "own_python_environment"]

_KEPT = ("LD_LIBRARY_PATH", "TZ")
_USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def base_environment(home: str, *, first_on_path: str | None = None) -> dict[str, str]:
    """What every process gets. `home` is a folder that it may write to: the caller's may be closed to it, or unset."""
    path = os.environ.get("PATH") or _USUAL_PATH
    return {
        **{name: os.environ[name] for name in _KEPT if name in os.environ},
        "PATH": path if first_on_path is None else os.pathsep.join([first_on_path, path]),
        "LANG": "C.UTF-8",
        "HOME": home,
    }


def own_python_environment(home: str) -> dict[str, str]:
    """For our own Python processes (proxy, traffic workers): they must find the same chaoskit as this process."""
    inherited = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    root = str(Path(chaoskit.__file__).resolve().parents[1])
    # Installed, it is found anyway, and all of site-packages before the standard library would be a trap.
    if not root.endswith("-packages") and root not in inherited:
        inherited.append(root)
    return {**base_environment(home), **_path(inherited), "PYTHONUNBUFFERED": "1"}


def app_environment(home: str, python: str, *, same: bool) -> dict[str, str]:
    """For a Python app. `same`: it runs in this environment, and what extends that for us does so for it."""
    inherited: Mapping[str, str] = _path([os.environ["PYTHONPATH"]]) if same and os.environ.get("PYTHONPATH") else {}
    return {**base_environment(home, first_on_path=str(Path(python).parent)), **inherited, "PYTHONUNBUFFERED": "1"}


def _path(entries: list[str]) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(entries)} if entries else {}
