"""Named points at which a process can be made to wait: for drills that kill it exactly there.

A drill sets CHAOSKIT_HALT_AT to a folder before it starts anything. A point is armed by a file of its name in there;
the first process that comes by renames it to `<point>.here`, writes its pid (as it knows it) into it, and waits until
`<point>.go` appears, or for its death. It waits, and is not stopped: PID 1 of a namespace cannot send itself a SIGSTOP.
Without the variable a point costs one look into the environment.
"""

# ruff: noqa: PTH104, PTH110
# No pathlib here: its import would cost milliseconds at every start of a node.
from __future__ import annotations

import os
import time

__all__ = ["HALT_AT", "POINTS", "halt"]

HALT_AT = "CHAOSKIT_HALT_AT"  # the folder; looked at nowhere else
POINTS = (
    "recorded",  # supervisor: the undo record is on disk, nothing is bent yet
    "applied",  # supervisor: a link is changed and not yet read back
    "healing",  # supervisor: effects are no longer active, nothing is healed yet
    "supervisor-namespace",  # PID 1 of the run's namespace, before it shows its own /proc
    "node-namespace",  # launcher: in its own namespaces, before names are private
)
_PAUSE = 0.005  # seconds between two looks


def halt(point: str) -> None:
    """Wait here if this point is armed; blocks the whole thread, event loop and all, as a frozen process would."""
    folder = os.environ.get(HALT_AT)
    if folder is None:
        return
    place = f"{folder}/{point}"
    try:
        os.rename(place, f"{place}.here")
    except OSError:
        return  # not armed, or another process was first
    with open(f"{place}.here", "w") as file:
        file.write(str(os.getpid()))
    while not os.path.exists(f"{place}.go"):
        time.sleep(_PAUSE)
