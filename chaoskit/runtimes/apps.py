"""The applications of a target: which Python runs them, and what is built before their first start."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from chaoskit.errors import EnvironmentFault, TargetError
from chaoskit.runtimes.cache import cache_folder, locked
from chaoskit.runtimes.requirements import missing, read_lines

__all__ = ["build_once", "interpreter"]

_MINUTES = 60.0
_INSTALL = 15 * _MINUTES
_BUILD = 30 * _MINUTES
_LINES = 20
_STAMP = "complete"  # written last: a folder without it is half made
_LEFT_OUT = {".git", "__pycache__", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


def interpreter(requirements: Path | None, service: str) -> str:
    """The Python for an app: this one if it has all that `requirements` asks for, else one with an environment made
    for exactly these requirements, kept in the user's cache.

    Raises:
        TargetError: the file cannot be read. EnvironmentFault: the environment cannot be made.
    """
    if requirements is None:
        return sys.executable
    try:
        lines = read_lines(requirements)
    except (OSError, ValueError) as error:
        raise TargetError(
            f"the requirements of {service} cannot be read: {error}", hint=f"mend {requirements}"
        ) from error
    why = missing(lines)
    if why is None:
        return sys.executable
    key = "\n".join([sys.version, sys.executable, *lines])
    folder = cache_folder("venvs") / hashlib.sha256(key.encode()).hexdigest()[:20]
    with locked(folder.with_suffix(".lock")):
        if not (folder / _STAMP).exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make_environment(folder, requirements, service, why)
            (folder / _STAMP).write_text("\n".join(lines) + "\n")
    return str(folder / "bin" / "python")


def build_once(command: Sequence[str], context: Path, service: str, log: Path) -> None:
    """Run a build command in its folder, unless that succeeded there before and no file has changed since.

    Raises:
        TargetError: it failed; with its last lines.
    """
    place = hashlib.sha256("\n".join([str(context), *command]).encode()).hexdigest()[:20]
    stamp = cache_folder("builds") / place
    with locked(stamp.with_suffix(".lock")):
        # What the build itself writes belongs to the state after it: removing a product builds again.
        if stamp.exists() and stamp.read_text() == _state(context):
            return
        failed = _run(list(command), _BUILD, cwd=context, log=log)
        if failed is not None:
            raise TargetError(
                f"building {service} with `{' '.join(command)}` {failed}",
                hint=f"run it in {context} and mend what it says",
            )
        stamp.write_text(_state(context))


def _make_environment(folder: Path, requirements: Path, service: str, why: str) -> None:
    python = folder / "bin" / "python"
    for steps in _ways(folder, python, requirements):
        last = None
        for step in steps:
            last = _run(step, _INSTALL)
            if last is not None:
                break
        if last is None:
            return
        shutil.rmtree(folder, ignore_errors=True)
    raise EnvironmentFault(
        f"the Python environment of {service} cannot be made (this one lacks {why}): {last}",
        hint=f"check the network, or install it here: {sys.executable} -m pip install -r {requirements}",
    )


def _ways(folder: Path, python: Path, requirements: Path) -> list[list[list[str]]]:
    """Ways to make an environment, best first: each a list of commands."""
    uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    made = [sys.executable, "-m", "venv", str(folder)]
    asked = ["-r", str(requirements)]
    ways = [[made, [str(python), "-m", "pip", "install", "--disable-pip-version-check", *asked]]]
    if uv is not None:
        ways.insert(
            0,
            [
                [uv, "venv", "--python", sys.executable, str(folder)],
                [uv, "pip", "install", "--python", str(python), *asked],
            ],
        )
    return ways


def _run(
    command: list[str],
    timeout: float,
    *,
    cwd: Path | None = None,
    log: Path | None = None,
) -> str | None:
    """Why a command failed, with its last lines; None when it did not."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except OSError as error:
        return f"cannot be started: {error.strerror}: {command[0]}"
    except subprocess.TimeoutExpired:
        return f"took longer than {timeout / _MINUTES:g} min"
    if log is not None:
        with open(log, "a") as file:
            file.write(done.stdout)
    if done.returncode == 0:
        return None
    lines = "\n".join(f"  | {line}" for line in done.stdout.splitlines()[-_LINES:])
    return f"failed with exit code {done.returncode}\n{lines}"


def _state(context: Path) -> str:
    """A digest of the files of a folder by name, size and time: content would take long with large trees."""
    digest = hashlib.sha256()
    for root, folders, files in os.walk(context):
        folders[:] = sorted(set(folders) - _LEFT_OUT)
        for name in sorted(files):
            path = Path(root, name)
            try:
                found = path.lstat()
            except OSError:
                continue
            digest.update(f"{path}\0{found.st_size}\0{found.st_mtime_ns}\0{found.st_mode}\n".encode(errors="replace"))
    return digest.hexdigest()
