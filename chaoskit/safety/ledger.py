"""The ledger of a run: what is about to be bent, what was started, and whether all of it was taken back.

Append-only JSON lines in the run directory. An undo record is on disk before its injection begins; everything else is a
convenience for `recover`, so that only the undo record may refuse to go on when the disk is full. Kinds of record:

`header` (run, boot_id, pid_namespace, supervisor {pid, start_ticks} as outside of the namespace) · `up` (nodes) ·
`undo` (effects, undo: the clean state of what they touch, deadline_ns) · `confirmed` (ids, confirmed_ns, state) ·
`ended` (ids, confirmed_ns) · `process` (name, pid, outer, start_ticks) · `file` (path, to be removed when the run is
over) · `down` (moot: actions that end with the stack instead of being taken back) · `unhealed` (ids, error; `ended`
follows when a later attempt succeeds) · `clean` (reason) · `recovered` (killed, removed).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaoskit.errors import StoreError
from chaoskit.linux import ProcessId
from chaoskit.stack.effects import CLEAN, ActionEffect, Effect, LinkEffect, StressEffect, place_of
from chaoskit.store import EventLog, read_jsonl

__all__ = ["Ledger", "LedgerState", "read_ledger"]

_log = logging.getLogger(__name__)


class Ledger:
    """Writes `ledger.jsonl`. One writer at a time: the supervisor, after its death `recover`."""

    NAME = "ledger.jsonl"

    def __init__(self, folder: Path) -> None:
        """Open or make the ledger of the run in `folder`.

        Raises:
            StoreError: it cannot be opened.
        """
        try:
            self._file = EventLog(folder / self.NAME)
        except OSError as error:
            raise StoreError(
                f"cannot open {folder / self.NAME}: {error.strerror or error}", hint="free space, or check permissions"
            ) from error

    def undo(self, effects: Sequence[Effect], deadline_ns: int) -> None:
        """Put on disk how to take these effects back; the injection may begin when this returns.

        Raises:
            StoreError: it could not be recorded, so nothing may be injected.
        """
        clean = {place_of(effect): _clean(effect) for effect in effects}
        record = {"effects": [effect.model_dump() for effect in effects], "undo": clean, "deadline_ns": deadline_ns}
        try:
            self._file.append({"t": time.monotonic_ns(), "kind": "undo", **record}, sync=True)
        except StoreError as error:
            raise StoreError(
                f"nothing was injected, because how to take it back could not be recorded: {error.message}",
                hint="free disk space, or choose another place with --runs DIR",
            ) from error

    def note(self, kind: str, *, sync: bool = False, **fields: Any) -> bool:
        """Record something that healing must not wait for: a full disk is logged and otherwise ignored.

        Returns:
            Whether it was written.
        """
        try:
            self._file.append({"t": time.monotonic_ns(), "kind": kind, **fields}, sync=sync)
        except StoreError as error:
            _log.warning("ledger: %s not recorded: %s", kind, error.message)
            return False
        return True

    def process(self, name: str, pid: int, outer: int, start_ticks: int) -> None:
        """A process of the run; `outer` is its pid outside of the run's PID namespace."""
        self.note("process", name=name, pid=pid, outer=outer, start_ticks=start_ticks)

    def close(self) -> None:
        """Close the file; idempotent."""
        self._file.close()


def _clean(effect: Effect) -> object:
    """What shall be when the effect has been taken back; of an action, the other one that takes it back, if any."""
    if isinstance(effect, LinkEffect):
        return CLEAN.model_dump()
    if isinstance(effect, StressEffect):
        return 0.0
    return effect.undo if isinstance(effect, ActionEffect) else "running"


@dataclass
class LedgerState:
    """What a ledger, whole or torn, says at its end.

    Attributes:
        header: the header record, empty when it is missing. active: effect ids begun (or about to be) and not ended.
        processes: (pid, start time) of what was started, as far as pids mean anything here. files: to be removed.
        private_pids: the run had a PID namespace of its own. clean: everything was taken back, by the supervisor or by
        `recover`. records: how many could be read.
    """

    header: dict[str, Any] = field(default_factory=dict)
    active: list[str] = field(default_factory=list)
    processes: list[ProcessId] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    clean: bool = False
    private_pids: bool = False
    records: int = 0


def read_ledger(folder: Path) -> LedgerState:
    """Read a run's ledger as far as it goes: missing, empty, torn and foreign lines are no error.

    Raises:
        StoreError: there is one, but it cannot be read (permission).
    """
    state = LedgerState()
    try:
        for record in read_jsonl(folder / Ledger.NAME):
            state.records += 1
            try:
                _take(state, record)
            except (KeyError, TypeError, ValueError):
                _log.warning("ledger: a record of kind %r makes no sense and is left out", record.get("kind"))
    except OSError as error:
        raise StoreError(
            f"cannot read {folder / Ledger.NAME}: {error.strerror or error}", hint="run it as the user of that run"
        ) from error
    return state


def _take(state: LedgerState, record: Mapping[str, Any]) -> None:
    kind = record.get("kind")
    if kind == "header":
        state.header = dict(record)
        supervisor = record["supervisor"]
        state.processes.append(ProcessId(int(supervisor["pid"]), int(supervisor["start_ticks"])))
        state.private_pids = bool(record["pid_namespace"])
    elif kind == "undo":
        state.active += [str(effect["id"]) for effect in record["effects"] if effect["id"] not in state.active]
        state.clean = False
    elif kind == "ended":
        ids = set(record["ids"])
        state.active = [name for name in state.active if name not in ids]
    elif kind == "process":
        who = ProcessId(int(record["outer"]), int(record["start_ticks"]))
        # Seen from inside a PID namespace, pids mean nothing to a reader outside - nor can such a process be alive when
        # the supervisor is dead.
        if who not in state.processes and not state.private_pids:
            state.processes.append(who)
        state.clean = False
    elif kind == "file":
        state.files.append(Path(record["path"]))
    elif kind in ("down", "clean", "recovered"):
        state.active = []
        state.clean = kind != "down"
