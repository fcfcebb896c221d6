"""Make `.venv` and install chaoskit with everything it needs, at the versions of the lock files.

    python3 tools/bootstrap.py [--dev]

Standard library only, so that a bare machine can run it; any Python 3.7 can at least say that it is too old. Every
step may be interrupted and run again: the stamp that says "done" is written last, and holds a fingerprint of the lock
files, the folder and the Python, so that a half-made, moved or outdated `.venv` is never mistaken for a good one.

How an installer is had, first that works: uv already in `.venv`; the pip of this Python; the pip bundled with this
Python (ensurepip); the pip that Debian packages as a wheel, fetched by apt-get into a private folder (needs no root).
That pip installs uv by its locked hash, uv installs the rest (pip does where there is no uv).

Exit codes: 0 done, 4 the environment lacks something (said in a sentence), 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Stop", "adopt_pip_settings", "fingerprint", "install", "main", "usable"]

MINIMUM = (3, 11)
LOCKS = {False: "requirements.lock", True: "requirements-dev.lock"}
INSTALLER = "tools/installer.lock"
BUILD = "tools/build.lock"
MADE = ".made"  # written right after the venv: whose it is
PIPES: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
STAMP = {False: ".installed", True: ".installed-dev"}  # written last


class Stop(Exception):
    """Something is missing that we cannot mend; the message says what and what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, install, say how it went; returns the exit code."""
    parser = argparse.ArgumentParser(description="Install chaoskit into .venv.")
    parser.add_argument("--dev", action="store_true", help="with what tests, lint and type checks need")
    dev = parser.parse_args(argv).dev
    if sys.version_info < MINIMUM:
        found = ".".join(map(str, sys.version_info[:3]))
        print(
            f"chaoskit needs Python 3.11 or newer; {sys.executable} is {found}.\n"
            "  next: name a newer one, as in: make PYTHON=python3.12 install",
            file=sys.stderr,
        )
        return 4
    root = Path(__file__).resolve().parents[1]
    try:
        with locked(root):
            install(root, dev)
    except Stop as stop:
        print(stop, file=sys.stderr)
        return 4
    except OSError as error:
        print(f"cannot install into {root / '.venv'}: {error}\n  next: see to space and permissions", file=sys.stderr)
        return 4
    except KeyboardInterrupt:
        print("\ninterrupted; run it again and it goes on from here", file=sys.stderr)
        return 130
    return 0


def install(root: Path, dev: bool) -> None:
    """Bring `.venv` below `root` to what the lock files say; does nothing when it is there already.

    Raises:
        Stop: no virtual environment or no installer can be made, or the packages cannot be had.
    """
    venv = root / ".venv"
    wanted = fingerprint(root)
    if is_installed(venv, wanted, dev):
        return
    began = time.monotonic()
    env = with_caches(adopt_pip_settings(clean_environment(os.environ)), venv)
    if not usable(venv):
        remove(venv)
        say(f"making .venv with Python {'.'.join(map(str, sys.version_info[:3]))} ({sys.executable})")
        make_venv(venv, env)
    for stamp in STAMP.values():  # from here on it is neither the old state nor the new one
        (venv / stamp).unlink(missing_ok=True)
    locks = [root / LOCKS[dev], root / BUILD]
    say(f"installing {len(set(pins(locks)))} packages at their locked versions")
    tool = uv(root, venv, env)
    if tool is None or not install_with_uv(tool, root, venv, env, locks):
        install_with_pip(root, venv, env, locks)
    (venv / STAMP[dev]).write_text(json.dumps(wanted))
    say(f"installed in {time.monotonic() - began:.0f} s")


# -- what is there ---------------------------------------------------------------------------------------------------


def fingerprint(root: Path) -> dict[str, str]:
    """What an installation depends on: the locked versions, our own metadata, the folder and the Python."""
    digest = hashlib.sha256()
    for name in (*LOCKS.values(), INSTALLER, BUILD, "pyproject.toml"):
        digest.update(name.encode() + b"\0" + (root / name).read_bytes() + b"\0")
    return {**identity(root / ".venv"), "files": digest.hexdigest()}


def identity(venv: Path) -> dict[str, str]:
    """A venv holds absolute paths and packages for one Python: elsewhere, or under another one, it is broken."""
    return {"folder": str(venv), "python": f"{sys.version_info[0]}.{sys.version_info[1]}"}


def is_installed(venv: Path, wanted: Mapping[str, str], dev: bool) -> bool:
    """Whether a stamp says so and the Python still runs; the one with development tools is good for both."""
    stamps = [STAMP[True]] if dev else list(STAMP.values())
    return any(read_json(venv / name) == wanted for name in stamps) and usable(venv)


def usable(venv: Path) -> bool:
    """Whether `.venv` was made for this folder and this Python, wholly, and its Python can be run by this user."""
    if read_json(venv / MADE) != identity(venv):
        return False
    question = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python(venv), "-I", "-S", "-c", question], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == identity(venv)["python"]


def read_json(path: Path) -> object:
    """What a marker says; None where there is none, or half of one."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def pins(locks: Sequence[Path]) -> Iterator[str]:
    """`name==version` of every line of the lock files."""
    for lock in locks:
        for line in lock.read_text().splitlines():
            if "==" in line and not line.startswith((" ", "#")):
                yield line.split()[0]


def python(venv: Path) -> str:
    """The venv's interpreter."""
    return str(venv / "bin" / "python")


# -- the virtual environment and its first installer -----------------------------------------------------------------


def remove(venv: Path) -> None:
    """Take a broken `.venv` away.

    Raises:
        Stop: it belongs to somebody else.
    """
    if not venv.exists() and not venv.is_symlink():
        return
    say("removing a .venv that is not whole, was moved, or is for another Python")
    try:
        if venv.is_symlink():
            venv.unlink()
        else:
            shutil.rmtree(venv)
    except OSError as error:
        raise Stop(
            f"cannot remove {venv}: {error}\n  next: remove it as its owner, or use a clone of your own"
        ) from None


def make_venv(venv: Path, env: Mapping[str, str]) -> None:
    """A venv without pip: `venv` with pip fails half-way where Debian's python3-venv is not installed.

    Raises:
        Stop: not even that can be made; nothing is left.
    """
    done = run([sys.executable, "-m", "venv", "--without-pip", str(venv)], env)
    if done.returncode != 0 or not os.access(python(venv), os.X_OK):
        shutil.rmtree(venv, ignore_errors=True)
        raise Stop(f"{sys.executable} cannot make a virtual environment:\n{indent(done.stdout)}\n  next: {apt_line()}")
    (venv / MADE).write_text(json.dumps(identity(venv)))


def uv(root: Path, venv: Path, env: Mapping[str, str]) -> str | None:
    """Path of uv at its locked version in the venv, installed there when missing; None: not for this platform.

    Raises:
        Stop: no pip is to be had that could install it; no `.venv` is left.
    """
    tool = venv / "bin" / "uv"
    version = next(pins([root / INSTALLER])).split("==")[1]
    if tool.exists() and run([str(tool), "--version"], env).stdout.split()[1:2] == [version]:
        return str(tool)
    options = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "-r", str(root / INSTALLER)]
    done = run([*pip(venv, env), "install", "--quiet", *options], env)
    if done.returncode == 0 and tool.exists():
        return str(tool)
    say("the quick installer (uv) could not be had", done.stdout)
    return None


def pip(venv: Path, env: Mapping[str, str]) -> list[str]:
    """A command that is pip, working on the venv.

    Raises:
        Stop: there is none; no `.venv` is left.
    """
    for command in pips(venv, env):
        if run([*command, "--version"], env).returncode == 0:
            return command
    shutil.rmtree(venv, ignore_errors=True)
    raise Stop(f"{sys.executable} has no pip, and none could be fetched.\n  next: {apt_line()}")


def pips(venv: Path, env: Mapping[str, str]) -> Iterator[list[str]]:
    """Commands that may be a pip for the venv, each made only when the one before was none."""
    own = [python(venv), "-m", "pip"]
    yield own
    yield [sys.executable, "-m", "pip", "--python", python(venv)]  # pip >= 22.3
    if run([python(venv), "-m", "ensurepip"], env).returncode == 0:
        yield own
    found = debian_pip(venv, env)
    if found is not None:
        yield found


def debian_pip(venv: Path, env: Mapping[str, str]) -> list[str] | None:
    """Debian's own pip wheel, downloaded and unpacked into the venv: apt checks its signature and needs no root for it.

    A machine with empty package lists (a fresh container) gets lists of its own below the venv; the system's are left.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    say("this Python has no pip: asking apt-get for Debian's (nothing is installed on the system)")
    folder = venv / "debian-pip"
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    private = [
        *("-o", f"Dir::State::lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache"),
        *("-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=3", "-o", "Acquire::Languages=none"),
    ]
    download = ["apt-get", "--quiet", "download", "python3-pip-whl"]
    if run([*download, "-o", "APT::Sandbox::User="], env, folder).returncode != 0:
        run(["apt-get", "--quiet", *private, "update"], env, folder)  # a source of the user's may fail: go on
        run([*download, *private], env, folder)
    for package in folder.glob("*.deb"):
        run(["dpkg-deb", "--extract", str(package), str(folder / "unpacked")], env, folder)
    shutil.rmtree(folder / "lists", ignore_errors=True)
    wheels = sorted((folder / "unpacked").glob("usr/share/python-wheels/pip-*.whl"))
    return [python(venv), str(wheels[-1] / "pip")] if wheels else None


def apt_line() -> str:
    """What to type where nothing else helps."""
    return "apt install python3-venv" if os.geteuid() == 0 else "sudo apt install python3-venv"


# -- the packages ----------------------------------------------------------------------------------------------------


def install_with_uv(tool: str, root: Path, venv: Path, env: Mapping[str, str], locks: Sequence[Path]) -> bool:
    """Whether uv installed the locked packages and chaoskit itself (editable, without network)."""
    command = [tool, "pip", "install", "--python", python(venv)]
    hashes = ["--require-hashes", *(word for lock in locks for word in ("-r", str(lock)))]
    ourselves = ["--no-deps", "--no-build-isolation", "--offline", "--editable", str(root)]
    return follow([*command, *hashes], env) and follow([*command, *ourselves], env)


def install_with_pip(root: Path, venv: Path, env: Mapping[str, str], locks: Sequence[Path]) -> None:
    """The same with pip.

    Raises:
        Stop: the packages cannot be had.
    """
    say("pip does it; this takes a minute")
    command = [*pip(venv, env), "install", "--progress-bar", "off"]
    hashes = ["--require-hashes", *(word for lock in locks for word in ("-r", str(lock)))]
    ourselves = ["--no-deps", "--no-build-isolation", "--no-index", "--editable", str(root)]
    if not (follow([*command, *hashes], env) and follow([*command, *ourselves], env)):
        raise Stop(
            "the packages could not be installed; the lines above say why.\n  next: see to the network, the proxy"
            " or the index (PIP_INDEX_URL), then run it again: it goes on from here"
        )


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Without the settings that would send packages elsewhere than into the venv."""
    stray = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER"}
    env = {name: value for name, value in environ.items() if name not in stray | {"PIP_REQUIRE_VIRTUALENV"}}
    env.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", PIP_ROOT_USER_ACTION="ignore")
    return env


def adopt_pip_settings(env: dict[str, str], configured: str | None = None) -> dict[str, str]:
    """Give uv what the user told pip about index and certificates, and each what only the other was told.

    Args:
        env: environment to complete; what is set for uv already is kept.
        configured: text of `pip config list`; None = ask the pip of this Python, where there is one.
    """
    if configured is None:
        configured = run([sys.executable, "-m", "pip", "config", "list"], env).stdout
    told: dict[str, str] = {}
    for line in configured.splitlines():  # global.index-url='https://…'; `:env:` comes last and wins
        name, separator, value = line.partition("=")
        if separator and name.startswith(("global.", "install.", ":env:.")):
            told[name.rpartition(".")[2].replace("_", "-")] = value.strip().strip("'\"").replace("\\n", " ")
    for setting in ("index-url", "extra-index-url", "find-links", "cert", "trusted-host"):
        told.setdefault(setting, env.get("PIP_" + setting.upper().replace("-", "_"), ""))
    twins = {
        "UV_DEFAULT_INDEX": env.get("UV_INDEX_URL") or told["index-url"],
        "UV_INDEX": " ".join(told["extra-index-url"].split()),
        "UV_FIND_LINKS": ",".join(told["find-links"].split()),
        "UV_INSECURE_HOST": " ".join(told["trusted-host"].split()),
        "SSL_CERT_FILE": told["cert"],
        "PIP_INDEX_URL": env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL") or "",
        "PIP_CERT": env.get("SSL_CERT_FILE", ""),
    }
    for name, value in twins.items():
        if value:
            env.setdefault(name, value)
    env.setdefault("UV_SYSTEM_CERTS", "true")  # companies add their certificates to the system's
    return env


def with_caches(env: dict[str, str], venv: Path) -> dict[str, str]:
    """Caches below the venv for a user whose home cannot be written: an interrupted install goes on from there."""
    home = Path(env.get("XDG_CACHE_HOME") or Path(env.get("HOME") or "/nonexistent", ".cache"))
    for tool in ("uv", "pip"):
        setting = f"{tool.upper()}_CACHE_DIR"
        if not can_write(Path(env.get(setting) or home / tool)):
            env[setting] = str(venv / f"{tool}-cache")
    return env


def can_write(folder: Path) -> bool:
    """Whether this user can write into the folder, making it where it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".chaoskit-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


# -- small things ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """One installation at a time: the second one waits, then finds the work done. The lock dies with its holder."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another installation is running in this folder; waiting for it")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def run(command: Sequence[str], env: Mapping[str, str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run quietly; output and errors together in `stdout`. A program that is not there counts as failed."""
    try:
        return subprocess.run(command, env=env, cwd=folder, text=True, **PIPES)
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, str(error))


def follow(command: Sequence[str], env: Mapping[str, str]) -> bool:
    """Run and pass its output on as it comes, without the list of every package; whether it succeeded."""
    with subprocess.Popen(command, env=env, text=True, **PIPES) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith((" + ", " - ", " ~ ", "Using Python", "Collecting", "Requirement already")):
                print("   ", line.rstrip(), file=sys.stderr, flush=True)
    return process.returncode == 0


def say(what: str, detail: str = "") -> None:
    """One line of progress; stderr, like all talk."""
    print(f"==> {what}" + (f"\n{indent(detail)}" if detail.strip() else ""), file=sys.stderr, flush=True)


def indent(text: str) -> str:
    """The last lines of somebody's output."""
    return "\n".join("    " + line for line in text.strip().splitlines()[-5:])


if __name__ == "__main__":
    sys.exit(main())
