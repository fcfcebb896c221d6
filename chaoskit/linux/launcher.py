"""The small program between the supervisor and every process of a run: launcher -> init -> program.

The launcher enters the namespaces, init watches, the program runs. With private PIDs init is PID 1 of its namespace:
when it ends, the kernel ends everything in it. Without, the launcher itself is init, a subreaper: nothing that the
program starts can leave its descendants, whatever sessions it makes (PostgreSQL's backends `setsid`). Init

- forwards TERM, INT and HUP to the program and collects orphans;
- when the program ends, ends the rest and exits as the program did (128 + n after signal n, as a shell does);
- on SIGUSR1, which is also what the death of its parent sends, ends everything at once.

Runs with the standard library only (`isolated_python`): it is started tens of times a run.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from chaoskit.linux.calls import parent_death_signal, remove_shared_memory, subreaper
from chaoskit.linux.halting import halt
from chaoskit.linux.isolation import enter, mount_proc, open_up, private_names
from chaoskit.linux.procfs import DEAD, descendants, shared_memory

__all__ = ["CANNOT_ISOLATE", "CANNOT_START", "END", "Launch", "main"]

END = signal.SIGUSR1  # to a launcher: SIGKILL everything below you and exit
CANNOT_ISOLATE = 126  # exit code: a namespace, a mount or a change of user failed
CANNOT_START = 127  # exit code: the program itself could not be executed

_WATCHED = {signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, END}


class Launch(NamedTuple):
    """What to start, and in what surroundings.

    Attributes:
        hosts: (address, name) pairs of a private /etc/hosts; None = the machine's own.
        pids: in a PID namespace of its own.
        user: (uid, gid) to become; needs root.
        reach: folders that `user` must be able to enter, also below a home that is closed to it.
        parent: pid of the caller, whose death ends everything; None = the program outlives it.
    """

    argv: Sequence[str]
    env: dict[str, str]
    cwd: str
    hosts: Sequence[tuple[str, str]] | None = None
    pids: bool = False
    user: tuple[int, int] | None = None
    reach: Sequence[str] = ()
    parent: int | None = None

    def command(self, label: str) -> tuple[list[str], int]:
        """Argument list that starts the launcher, and the descriptor to pass to it and then close.

        The description travels in memory: the environment may hold secrets, and arguments are for all to see. `label`
        is what the process table shows.
        """
        from chaoskit.linux.capabilities import isolated_python  # late: the launcher itself does not need it

        fd = os.memfd_create("launch")
        with open(fd, "w", closefd=False) as file:
            json.dump(self._asdict(), file)
        os.lseek(fd, 0, os.SEEK_SET)
        return isolated_python(__name__, str(fd), f"chaoskit:{label}"), fd


def main(arguments: Sequence[str]) -> int:
    """Start what the description in descriptor `arguments[0]` says, and stay until it has ended."""
    # Blocked and waited for, never handled: no signal is lost between the fork and the loop, however early it comes.
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
    with open(int(arguments[0])) as file:
        launch = Launch(**json.load(file))
    try:
        os.setsid()
    except OSError:
        pass  # the caller did it already
    try:
        return _start(launch)
    except OSError as error:
        _say(f"cannot prepare the surroundings of {launch.argv[0]}", error)
        return CANNOT_ISOLATE


def _start(launch: Launch) -> int:
    private = launch.pids or launch.hosts is not None
    if private:
        enter(pids=launch.pids)
        halt("node-namespace")
    if launch.hosts is not None:
        private_names(launch.hosts)
    if launch.user is not None:
        open_up(launch.reach, launch.user, private=private)
    if launch.parent is not None:
        parent_death_signal(END)
        if os.getppid() != launch.parent:
            return 128 + END  # it died before we asked
    if not launch.pids:
        subreaper()
        return _watch(_program(launch))
    return _watch_namespace(launch)


def _watch_namespace(launch: Launch) -> int:
    """Fork PID 1 of the new namespace and mirror it."""
    # The kernel's notice of a parent's death may come too late or not at all (it died first): EOF tells that.
    reading, writing = os.pipe()
    init = os.fork()
    if init == 0:
        os.close(writing)
        _forked(lambda: _be_init(launch, reading))
    os.close(reading)
    while True:
        number = signal.sigwait(_WATCHED)
        if number == signal.SIGCHLD:
            pid, status = os.waitpid(init, os.WNOHANG)
            if pid:
                return _code(status)
        else:
            os.kill(init, signal.SIGKILL if number == END else number)


def _be_init(launch: Launch, lifeline: int) -> int:
    parent_death_signal(signal.SIGKILL)
    os.set_blocking(lifeline, False)
    try:
        if os.read(lifeline, 1) == b"":
            return 128 + END
    except BlockingIOError:
        pass
    mount_proc()
    program = _program(launch)
    while True:
        number = signal.sigwait(_WATCHED)
        if number == signal.SIGCHLD:
            status = _reap(program)
            if status is not None:
                return _code(status)
        elif number == END:
            return 128 + signal.SIGKILL
        else:
            _send(program, number)


def _watch(program: int) -> int:
    """Be init without a namespace: what the kernel does there for PID 1 is done here by hand."""
    status: int | None = None
    while status is None:
        number = signal.sigwait(_WATCHED)
        if number == signal.SIGCHLD:
            status = _reap(program)
        elif number == END:
            status = signal.SIGKILL
        else:
            _send(program, number)
    makers = {program}
    while _has_children():
        left = [found for found in descendants(os.getpid()) if found.state not in DEAD]
        makers.update(found.pid for found in left)
        for found in left:
            _send(found.pid, signal.SIGKILL)
        time.sleep(0.002)
    for identifier in shared_memory(makers):
        try:
            remove_shared_memory(identifier)
        except OSError:
            pass  # not ours after all: the pid was used again
    return _code(status)


def _program(launch: Launch) -> int:
    """Fork the program; its pid."""
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _forked(lambda: _become(launch, parent))
    return pid


def _become(launch: Launch, parent: int) -> NoReturn:
    # Python ignores these two, and what is ignored stays so across an exec.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    os.chdir(launch.cwd)
    if launch.user is not None:
        uid, gid = launch.user
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    parent_death_signal(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(128 + END)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
        os.execvpe(launch.argv[0], list(launch.argv), launch.env)
    except OSError as error:
        # Without the place: it would name the last folder of PATH that was tried.
        _say(f"cannot start {launch.argv[0]}", OSError(error.errno, error.strerror))
        os._exit(CANNOT_START)


def _forked(body: Callable[[], int]) -> NoReturn:
    """Run `body` in a forked child and leave with its code, without the parent's clean-up on the way."""
    try:
        code = body()
    except OSError as error:
        _say("cannot prepare the process", error)
        code = CANNOT_ISOLATE
    os._exit(code)


def _reap(program: int) -> int | None:
    """Collect every child that has ended; the wait status of the program if it was among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == program:
            found = status


def _has_children() -> bool:
    """Collect what has ended; whether anybody is left.

    Until the last zombie is collected: one that we leave behind keeps its pid, and PostgreSQL, started again, would
    take the pid in its lock file for a living server.
    """
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _say(what: str, error: OSError) -> None:
    """Into the log of the node, where whoever waits for it will look."""
    place = "" if error.filename is None else f": {error.filename}"
    print(f"chaoskit: {what}{place}: {error.strerror or error}", file=sys.stderr, flush=True)  # noqa: T201


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
