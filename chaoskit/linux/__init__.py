"""All that is Linux only: namespaces, /proc, timerfd. Harmless to import elsewhere, and cheap: names load late."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chaoskit.linux.calls import parent_death_signal, remove_shared_memory, short_slices, subreaper
    from chaoskit.linux.capabilities import Capabilities, isolated_python, probe
    from chaoskit.linux.halting import halt
    from chaoskit.linux.isolation import enter, hosts_text, mount_proc, nsswitch_text, open_up, private_names
    from chaoskit.linux.launcher import CANNOT_ISOLATE, CANNOT_START, END, Launch
    from chaoskit.linux.procfs import (
        DEAD,
        STOPPED,
        Process,
        ProcessId,
        Usage,
        alive,
        boot_id,
        command,
        descendants,
        identity,
        ns_pids,
        process,
        processes,
        shared_memory,
        usage,
    )
    from chaoskit.linux.tcp import Socket, connected, listeners, owners, segments, sockets
    from chaoskit.linux.timerfd import Timerfd

_HOME = {
    "calls": ("parent_death_signal", "remove_shared_memory", "short_slices", "subreaper"),
    "isolation": ("enter", "hosts_text", "mount_proc", "nsswitch_text", "open_up", "private_names"),
    "capabilities": ("Capabilities", "isolated_python", "probe"),
    "halting": ("halt",),
    "launcher": ("CANNOT_ISOLATE", "CANNOT_START", "END", "Launch"),
    "procfs": (
        "DEAD",
        "STOPPED",
        "Process",
        "ProcessId",
        "Usage",
        "alive",
        "boot_id",
        "command",
        "descendants",
        "identity",
        "ns_pids",
        "process",
        "processes",
        "shared_memory",
        "usage",
    ),
    "tcp": ("Socket", "connected", "listeners", "owners", "segments", "sockets"),
    "timerfd": ("Timerfd",),
}
_LAZY = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "CANNOT_ISOLATE",
    "CANNOT_START",
    "DEAD",
    "END",
    "STOPPED",
    "Capabilities",
    "Launch",
    "Process",
    "ProcessId",
    "Socket",
    "Timerfd",
    "Usage",
    "alive",
    "boot_id",
    "command",
    "connected",
    "descendants",
    "enter",
    "halt",
    "hosts_text",
    "identity",
    "isolated_python",
    "listeners",
    "mount_proc",
    "ns_pids",
    "nsswitch_text",
    "open_up",
    "owners",
    "parent_death_signal",
    "private_names",
    "probe",
    "process",
    "processes",
    "remove_shared_memory",
    "segments",
    "shared_memory",
    "short_slices",
    "sockets",
    "subreaper",
    "usage",
]


def __getattr__(name: str) -> Any:
    """Load a name when it is first asked for: the launcher pays for what it uses, tens of times a run."""
    if name in _LAZY:
        found = getattr(import_module(f"chaoskit.linux.{_LAZY[name]}"), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module 'chaoskit.linux' has no attribute {name!r}")
