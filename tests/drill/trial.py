"""One kill after the other, over one stack for as long as it lives."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import census
from choices import IN_NAMESPACES, Trial
from engine import be_engine

from chaoskit.linux.halting import HALT_AT
from chaoskit.safety.recover import recover
from chaoskit.stack.topology import Target

SPARE_S = 2.0  # after the deadline nothing may be left
UNBENT_S = 1.5  # the deadline, where nothing was bent when somebody died
PATIENCE_S = 30.0  # for what must come before a kill, and for what comes too late
PAUSE_S = 0.05
STARVED = 1.6  # wall time by CPU time of plain work beyond which this machine is busy with something else


class Result(NamedTuple):
    """Of one trial. `left`: what was left for good. `late`: seconds beyond the limit until the last of `lingered` was
    gone. `starved`: how much longer than on an idle machine plain work took at the limit, where something was left."""

    number: int
    text: str
    killed: int
    reached: bool
    took: float
    left: tuple[str, ...]
    late: float
    lingered: tuple[str, ...]
    starved: float


class Driver:
    """Runs trials one by one; `work` is a folder of its own, with the state folder and the runs in it."""

    def __init__(self, work: Path, target: Target, server: str) -> None:
        self._work, self._target, self._server = work, target, server
        self._state, self._points = work / "state", work / "points"
        for folder in (self._state, self._points):
            folder.mkdir(parents=True, exist_ok=True)
        os.environ["CHAOSKIT_STATE"], os.environ[HALT_AT] = str(self._state), str(self._points)
        self._mounts = census.mounts(work)
        self._count = 0
        self._engine: _EngineProcess | None = None
        self._starved = 1.0
        self._lingered: list[str] = []

    def run(self, trial: Trial) -> Result:
        """Do one trial, on the stack that is up or on a new one."""
        began, self._starved, self._lingered = time.monotonic(), 1.0, []
        for path in self._points.iterdir():
            path.unlink()
        if trial.point in IN_NAMESPACES:
            self.close()
        if trial.point is not None:
            (self._points / trial.point).touch()
        engine = self._engine or self._start(trial)
        halted = self._wait_for_the_moment(engine, trial, began)
        found = census.members(engine.run, engine.folder)
        pids = [pid for kind in trial.victims for pid in census.victims(kind, found, engine.pid, halted)]
        if not pids:
            pids = [engine.pid]
        trouble = [f"before the kill: {text}" for text in engine.errors]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if trial.point is not None:  # whoever waits there and was not killed goes on
            (self._points / f"{trial.point}.go").touch()
        killed = time.monotonic()
        engine.listen(0.0)
        limit = max(engine.deadline, killed + UNBENT_S) + SPARE_S
        only_workers = set(pids) <= set(census.victims("worker", found, engine.pid, None))
        left, late = self._go_on(engine, limit) if only_workers else self._end(engine, limit)
        reached = trial.point is None or halted is not None
        if not reached and not trouble:
            trouble = [f"nobody came by {trial.point}"]
        left = [*trouble, *left]
        took = time.monotonic() - killed
        return Result(
            trial.number, trial.text, len(pids), reached, took, tuple(left), late, tuple(self._lingered), self._starved
        )

    def close(self) -> None:
        """Stop the stack that is up in the orderly way."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.tell("stop")
            engine.wait(PATIENCE_S)
            engine.close()

    def _start(self, trial: Trial) -> _EngineProcess:
        self._count += 1
        folder = self._work / "runs" / f"{trial.number}-{self._count}"
        folder.mkdir(parents=True)
        self._engine = _EngineProcess(self._target, folder, self._server, trial.faults)
        return self._engine

    def _wait_for_the_moment(self, engine: _EngineProcess, trial: Trial, began: float) -> int | None:
        """Until a random instant, or until somebody waits at the point (who, as it knows itself)."""
        if trial.point is None:
            while (left := began + trial.after - time.monotonic()) > 0:
                engine.listen(left)
            return None
        here = self._points / f"{trial.point}.here"
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and not engine.ended():
            engine.listen(PAUSE_S)
            with suppress(OSError, ValueError):
                return int(here.read_text())
        return None

    def _go_on(self, engine: _EngineProcess, limit: float) -> tuple[list[str], float]:
        """A worker died, the stack lives: every fault ends as it would have, and all links are clean."""
        engine.tell("quiet")
        if not engine.wait_for("quiet", PATIENCE_S):
            return [f"the engine does not go on after a worker's death: {engine.errors}"], 0.0
        left = [f"fault on {link}" for link in census.bent(str(engine.laid["control"]))]
        found = census.members(engine.run, engine.folder)
        left += [f"stopped process {one.pid}: {one.command[:80]}" for one in found if one.state == "T"]
        late = max(time.monotonic() - limit, 0.0)
        engine.tell("go")
        return left, late

    def _end(self, engine: _EngineProcess, limit: float) -> tuple[list[str], float]:
        """All of it must be gone at the limit."""
        self._engine = None
        private = bool(engine.supervised.get("private"))
        while True:
            left = self._left(engine)
            if not left or time.monotonic() > limit:
                break
            engine.listen(PAUSE_S)
        if left:
            self._starved = starved()
        if left and engine.supervised and not private:
            recover(engine.run)  # without a namespace nothing ends what a dead supervisor ran
            left = self._left(engine)
        self._lingered = left
        end = time.monotonic() + PATIENCE_S
        while (again := self._left(engine)) and time.monotonic() < end:
            engine.listen(PAUSE_S)
        late = max(time.monotonic() - limit, 0.0) if left and not again else 0.0
        left = again or ([] if late else left)
        report = recover()
        engine.wait(PATIENCE_S)
        engine.close()
        left += [f"recover: {text}" for text in report.left]
        left += [f"state file {name}" for name in self._settled(census.state_files)]
        left += [f"file {name}" for name in census.run_files(engine.folder)]
        left += [f"mount {line}" for line in census.mounts(self._work) - self._mounts]
        if not left:
            shutil.rmtree(engine.folder, ignore_errors=True)
        return left, late

    def _settled(self, look: Any) -> list[str]:
        """Files that are torn are swept when they are a second old: recover once more then."""
        found: list[str] = look(self._state)
        if found:
            time.sleep(1.1)
            recover()
            found = look(self._state)
        return found

    def _left(self, engine: _EngineProcess) -> list[str]:
        """Faults live in processes that are gone, or in the proxy: what is left of those is left of the faults."""
        found = [f"process {one.pid} ({one.state}): {one.command[:100]}" for one in
                 census.members(engine.run, engine.folder)]  # fmt: skip
        if not engine.ended():
            found.append("the engine")
        control = str(engine.laid.get("control", ""))
        if control and not control.startswith("127.0.0.1:"):
            prefix = ".".join(control.split(".")[:2]) + "."
            found += [f"listener {text}" for text in census.listening(prefix)]
            found += [f"lease {text}" for text in census.held_lease(control)]
        elif control:
            mine = {control, *engine.laid.get("listens", ())}
            found += [f"listener {text}" for text in census.listening("127.0.0.1:") if text in mine]
        return found


def starved() -> float:
    """How much longer than on an idle machine plain work takes now."""
    wall, cpu = time.monotonic(), time.process_time()
    while time.process_time() - cpu < 0.05:
        pass
    return (time.monotonic() - wall) / 0.05


class _EngineProcess:
    """A forked engine, and what it has said."""

    def __init__(self, target: Target, folder: Path, server: str, seed: int) -> None:
        self.folder, self.run = folder, folder.name
        self.supervised: dict[str, Any] = {}
        self.laid: dict[str, Any] = {}
        self.errors: list[str] = []
        self.deadline = 0.0
        self._events: list[str] = []
        self._rest = b""
        self._code: int | None = None
        theirs_read, self._writing = os.pipe()
        self._reading, theirs_write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._reading)
            os.close(self._writing)
            be_engine(target, folder, server, seed, theirs_read, theirs_write)
        os.close(theirs_read)
        os.close(theirs_write)

    def tell(self, word: str) -> None:
        with suppress(OSError):
            os.write(self._writing, f"{word}\n".encode())

    def listen(self, seconds: float) -> None:
        """Take in what it says, for at most so long (it may be over by then)."""
        ready, _, _ = select.select([self._reading], [], [], seconds)
        if not ready:
            return
        data = os.read(self._reading, 65536)
        if not data:
            time.sleep(min(seconds, PAUSE_S))  # it has ended: nothing comes any more
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            message = json.loads(line)
            event = message.pop("event")
            self._events.append(event)
            if event == "supervised":
                self.supervised = message
            elif event == "laid":
                self.laid = message
            elif event == "begin":
                self.deadline = message["deadline_ns"] / 1e9
            elif event in ("error", "left"):
                self.errors.append(message["text"])

    def wait_for(self, event: str, seconds: float) -> bool:
        end = time.monotonic() + seconds
        self._events.clear()
        while event not in self._events:
            if time.monotonic() > end or self.ended():
                return False
            self.listen(PAUSE_S)
        return True

    def ended(self) -> bool:
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code is not None

    def wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while not self.ended() and time.monotonic() < end:
            self.listen(PAUSE_S)

    def close(self) -> None:
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._reading)
        os.close(self._writing)
