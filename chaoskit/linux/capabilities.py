"""What this machine lets us isolate: found out by doing it, in a child process that is thrown away.

Settings are read only to word the remedy: they do not tell the truth (Ubuntu's AppArmor allows the user namespace and
then denies the mount; container profiles show in no setting at all).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from chaoskit.linux.isolation import enter, mount_proc, private_names

__all__ = ["Capabilities", "isolated_python", "main", "probe"]

_ROOT = str(Path(__file__).resolve().parents[2])
_NAME, _ADDRESS = "chaoskit-probe.invalid", "127.1.2.3"
_SECONDS = 30.0
SWITCH = "CHAOSKIT_NAMESPACES"  # "off" = behave as on a machine without namespaces


class Capabilities(NamedTuple):
    """What can be isolated here.

    Attributes:
        hosts: a process can have an /etc/hosts of its own that its resolver obeys.
        pids: a process can have a PID namespace with its own /proc, also one inside the other.
        reason: why something is missing; "" when nothing is.
        remedy: what to do about it; "" when nothing is missing.
    """

    hosts: bool
    pids: bool
    reason: str
    remedy: str


def isolated_python(module: str, *arguments: str) -> list[str]:
    """Argument list that runs `module.main([...])` in this Python, as fast as it starts: standard library only.

    `-I -S` leaves out site-packages and the caller's variables; our own folder goes last on the path, so that nothing
    beside it can stand before the standard library.
    """
    boot = f"import sys; sys.path.append(sys.argv.pop(1)); from {module} import main; sys.exit(main(sys.argv[1:]))"
    return [sys.executable, "-I", "-S", "-c", boot, _ROOT, *arguments]


@cache
def probe() -> Capabilities:
    """What can be isolated here; takes some 0.2 s the first time, then nothing. Never raises."""
    if sys.platform != "linux":
        reason = f"this is {sys.platform}: namespaces and /proc are Linux's"
        return Capabilities(False, False, reason, "use a Linux machine, a Linux virtual machine or Docker")
    if os.environ.get(SWITCH, "").lower() == "off":
        return Capabilities(False, False, f"{SWITCH}=off says so", f"unset {SWITCH}")
    try:
        done = subprocess.run(
            isolated_python(__name__, "outer"),
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            cwd="/",
            stdin=subprocess.DEVNULL,
        )
        found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError) as error:
        return Capabilities(False, False, f"the trial itself failed: {error}", "run `chaoskit doctor`")
    hosts, pids = found["hosts"], found["pids"]
    if not hosts and not pids:
        return Capabilities(True, True, "", "")
    missing = [
        *([f"no private /etc/hosts ({hosts})"] if hosts else []),
        *([f"no private PIDs ({pids})"] if pids else []),
    ]
    return Capabilities(not hosts, not pids, "; ".join(missing), _remedy(private_hosts=not hosts))


def main(arguments: Sequence[str]) -> int:
    """The child: try everything, print {"hosts": why not, "pids": why not}; an empty text means that it works.

    The trial of the PID namespace is done as it will be used: inside it, after an exec that sheds all capabilities,
    everything is tried once more, because nodes live inside the supervisor's namespace.
    """
    found = {"hosts": _in_child(_try_hosts), "pids": _in_child(_try_pids)}
    if arguments[0] == "outer" and not found["pids"]:
        inner = _in_child(lambda: _try_pids(nested=True))
        found["pids"] = f"not inside another one: {inner}" if inner else ""
    print(json.dumps(found))  # noqa: T201 - the answer to the parent
    return 0


def _try_hosts() -> None:
    enter()
    private_names([(_ADDRESS, _NAME)])
    import socket  # late: what is tried first may fail before it is needed

    seen = {str(row[4][0]) for row in socket.getaddrinfo(_NAME, 80, type=socket.SOCK_STREAM)}
    if seen != {_ADDRESS}:
        raise OSError(0, f"a name of the private file resolved to {sorted(seen)}")


def _try_pids(nested: bool = False) -> None:
    enter(pids=True)

    def as_init() -> None:
        mount_proc()
        if Path("/proc/self").readlink().name != str(os.getpid()):
            raise OSError(0, "/proc shows other PIDs than our own")
        if nested:
            done = subprocess.run(isolated_python(__name__, "inner"), capture_output=True, text=True, cwd="/")
            found = json.loads(done.stdout)
            if why := found["pids"] or found["hosts"]:
                raise OSError(0, why)

    if why := _in_child(as_init):
        raise OSError(0, why)


def _in_child(attempt: Callable[[], None]) -> str:
    """Run `attempt` in a forked child; why it failed, or ""."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        why = ""
        try:
            attempt()
        except BaseException as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        os.write(writing, why.encode()[:4000])
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        why = pipe.read().decode()
    _, status = os.waitpid(pid, 0)
    return why or (f"the trial ended with status {status}" if status else "")


def _remedy(*, private_hosts: bool) -> str:
    """The next step, worded after what the machine's settings hint at."""
    contained = any(Path(path).exists() for path in ("/.dockerenv", "/run/.containerenv"))
    if contained or private_hosts:
        return "start the container with --privileged, or --security-opt seccomp=unconfined (and apparmor=unconfined)"
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu's AppArmor denies the mount)"
    if _setting("kernel/unprivileged_userns_clone") == "0":
        return "sudo sysctl -w kernel.unprivileged_userns_clone=1"
    if _setting("user/max_user_namespaces") == "0":
        return "sudo sysctl -w user.max_user_namespaces=10000"
    return "allow user namespaces and mounts in them for this user, or run as root"


def _setting(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""
