"""Burns processor time beside a node: one process per processor, bounded in every way there is.

Arguments: one JSON object. `shares`: the share of one processor that each process takes (1.0 = all it can get) ·
`processors`: those that they may use · `nice` · `until_ns`: monotonic instant at which they end by themselves.

Started by `stress.py` through the launcher, so that the death of the supervisor is theirs; and should that be frozen
instead, they still end at `until_ns`. Standard library only (`isolated_python`).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence

from chaoskit.linux.calls import parent_death_signal

__all__ = ["burn", "main"]

_WINDOW = 20_000_000  # ns in which a share is kept: short beside what a node notices, long beside a wake-up
_CHUNK = 400  # turns of the loop between two looks at the clock: some 10 µs


def main(arguments: Sequence[str]) -> int:
    """Burn until the end; 0 when that came as asked, 1 when a process ended before it."""
    asked = json.loads(arguments[0])
    until_ns = int(asked["until_ns"])
    os.sched_setaffinity(0, asked["processors"])
    try:
        os.setpriority(os.PRIO_PROCESS, 0, int(asked["nice"]))
    except PermissionError:
        pass  # the node is favoured beyond what this user may have
    parent = os.getpid()
    children = {_child(float(share), until_ns, parent) for share in asked["shares"]}
    early = False
    while children:
        pid, _ = os.wait()
        children.discard(pid)
        early = early or time.monotonic_ns() < until_ns
        if early:
            break
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return 1 if early else 0


def burn(share: float, until_ns: int) -> None:
    """Use `share` of one processor, as far as it is to be had, until a monotonic instant."""
    while (start := time.monotonic_ns()) < until_ns:
        end = min(start + _WINDOW, until_ns)
        spent = time.process_time_ns()
        budget = share * (end - start)
        while time.process_time_ns() - spent < budget and time.monotonic_ns() < end:
            for _ in range(_CHUNK):
                pass
        time.sleep(max(end - time.monotonic_ns(), 0) / 1e9)


def _child(share: float, until_ns: int, parent: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()  # where the kernel shares processors out by session, one session would get one share in all
        parent_death_signal(signal.SIGKILL)
        if os.getppid() == parent:
            burn(share, until_ns)
            code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
