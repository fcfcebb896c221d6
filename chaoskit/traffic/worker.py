"""The traffic worker process: `python -m chaoskit.traffic.worker CONFIG.json`.

starting -> ready -> (start instant) -> loading: warm-up, then load -> in flight finished: load-done -> (told to) final
reads: final -> done. One timerfd wakes the loop for everything that has a time: arrivals, the tick every 100 ms, and
the deadlines of what is in flight. (libuv's own timers count milliseconds and may fire one early.) On each wake all
that is due is sent; nothing waits for answers.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import socket
import sys
import time
import traceback
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvloop

from chaoskit import linux
from chaoskit.contracts import Workload
from chaoskit.errors import ChaosKitError, ExitCode, StoreError, TargetError, UsageError
from chaoskit.history.operation import Answer
from chaoskit.history.spool import SpoolWriter
from chaoskit.linux import Timerfd
from chaoskit.store import EventLog
from chaoskit.traffic.arrivals import LOAD, WARM_UP, draw_classes, due_times
from chaoskit.traffic.config import WorkerConfig
from chaoskit.traffic.counters import Counters
from chaoskit.traffic.loading import load_workload, user_text
from chaoskit.traffic.operation import Operation
from chaoskit.traffic.outcomes import Settled
from chaoskit.traffic.sending import FINAL, Sender
from chaoskit.traffic.snapshot import Control, State

__all__ = ["Worker", "main"]

_TICK_NS = 100_000_000
_WAIT_NS = 10_000_000  # tick outside the load: nothing is measured then, and the engine waits for every step
_BURST = 256  # operations sent in one go before sockets are looked after again (after a stall)
_ATTEMPTS = 3  # of a final read
_PAUSE_NS = 200_000_000  # before a final read is tried again
_FILES = 65536
_monotonic_ns = time.monotonic_ns

# A final read to be done: class number, key, attempt, index of the one it repeats, not before (ns).
_Read = tuple[int, str, int, int, int]


class Worker:
    """Everything between the start of the process and its exit code.

    Args:
        counters: opened; told about every step.

    Raises:
        TargetError: the workload or the entry's name. StoreError: the spool cannot be made.
    """

    def __init__(self, config: WorkerConfig, counters: Counters, loop: asyncio.AbstractEventLoop) -> None:
        self.config = config
        self.counters = counters
        self._loop = loop
        if counters.classes != tuple(cls.name for cls in config.classes):
            raise UsageError(f"{config.counters} is for the classes {counters.classes}, the configuration has others")
        self._state = State.STARTING
        self._exit: asyncio.Future[int] = loop.create_future()
        self.workload: Workload = load_workload(Path(config.workload), config.factory)
        address = _resolve(config.host, config.port)
        self._plan()
        self.spool = SpoolWriter(
            Path(config.spool),
            config.worker,
            nodes=[config.source, config.node],
            classes=[cls.name for cls in config.classes],
            rows=len(self._due) * 5 // 4 + 4096,  # final reads come on top
        )
        self.sender = Sender(config, self.workload, self.spool, loop, address, self._fail)
        self._lag_log = EventLog(Path(config.lag))
        self._timer = Timerfd()
        self._next = 0  # arrival that is sent next
        self._started = False
        self._stopped = False  # no more load
        self._tick_at = _monotonic_ns() + _WAIT_NS
        self._ticks = 0
        self._patient_until = 0  # nothing is given up before
        self._cpu = (time.process_time_ns(), _monotonic_ns())
        self._reads: deque[_Read] = deque()
        self._reads_total = self._reads_done = 0
        self._reads_until = 0

    def _plan(self) -> None:
        """Due times relative to the start, classes and phases of all arrivals."""
        config, self._due, self._cls = self.config, list[int](), list[int]()
        numbers = {cls.name: number for number, cls in enumerate(config.classes)}
        for phase, seconds, offset in ((WARM_UP, config.warm_up, 0.0), (LOAD, config.duration, config.warm_up)):
            share = {"seed": config.seed, "worker": config.worker, "phase": phase}
            due = due_times(config.arrivals, seconds, workers=config.workers, **share)
            self._due += (due + round(offset * 1e9)).tolist()
            self._cls += draw_classes(config.mix, numbers, len(due), **share).tolist()
            if phase == WARM_UP:
                self._warm = len(due)

    # --- the one place that wakes up
    def _wake(self) -> None:
        try:
            self._timer.read()
            if self._started and not self._stopped:
                self._send_due()
            now = _monotonic_ns()
            stood = now - self._tick_at
            if stood > _TICK_NS:
                # We stood still, not the system: what is in flight gets that time back before it is given up.
                self._patient_until = now + min(stood, round(self.config.timeout * 1e9))
            deadline = self._deadline()
            if deadline is not None and deadline <= now:
                # After the sockets that are ready in this turn: an answer that has arrived counts, however late we are.
                self._loop.call_soon(self._expire)
            if now >= self._tick_at:
                self._tick(now)
            if self._state is State.FINAL:
                self._read_more(now)
            self._arm()
        except BaseException as error:  # an exception here would leave the timer unarmed: silence instead of a failure
            self._fail(error)

    def _deadline(self) -> int | None:
        """Monotonic ns at which something is to be given up."""
        deadline = self.sender.next_deadline()
        return None if deadline is None else max(deadline, self._patient_until)

    def _expire(self) -> None:
        try:
            self.sender.expire(_monotonic_ns())
            self._arm()
        except BaseException as error:
            self._fail(error)

    def _send_due(self) -> None:
        due, begin, number = self._due, self.sender.begin, self._next
        last = min(len(due), number + _BURST)
        while number < last and due[number] <= _monotonic_ns():
            self._next = number + 1
            begin(self._cls[number], due[number], WARM_UP if number < self._warm else LOAD)
            number += 1

    def _arm(self) -> None:
        if self._exit.done():
            return  # the timer may be closed
        at = self._tick_at
        if self._started and not self._stopped and self._next < len(self._due):
            at = min(at, self._due[self._next])
        deadline = self._deadline()
        self._timer.arm(at if deadline is None else min(at, deadline))

    # --- every 100 ms
    def _tick(self, now: int) -> None:
        lag = now - self._tick_at
        self._ticks += 1
        late = self._publish(lag)
        self.sender.sweep(now)
        if self._state is State.LOADING:
            cpu, wall = time.process_time_ns(), _monotonic_ns()
            share = (cpu - self._cpu[0]) / max(wall - self._cpu[1], 1)
            self._cpu = (cpu, wall)
            self._lag_log.append(
                {"t": now, "lag_ns": max(lag, late), "cpu": round(share, 4), "worker": self.config.worker}
            )
            gc.collect(1 if self._ticks % 50 == 0 else 0)
        self._obey()
        step = _TICK_NS if self._state is State.LOADING else _WAIT_NS
        self._tick_at += step * ((_monotonic_ns() - self._tick_at) // step + 1)

    def _publish(self, lag: int = 0) -> int:
        counts, cells, late = self.sender.publishable()
        if self.sender.first_error:
            self.counters.fail(self.sender.first_error)
        self.counters.publish(
            self._state,
            counts,
            cells,
            lag_ns=max(lag, late),
            workload_errors=self.sender.workload_errors,
            final_total=self._reads_total,
            final_done=self._reads_done,
        )
        return late

    def _enter(self, state: State) -> None:
        self._state = state
        self._publish()

    def _obey(self) -> None:
        control = self.counters.control
        if control is Control.QUIT:
            self._finish(ExitCode.OK)
        elif self._state is State.READY and control is Control.RUN:
            if self.counters.start_ns:
                self._start(self.counters.start_ns)
        elif self._state in (State.READY, State.LOADING):
            self._stopped = self._stopped or control is not Control.RUN or self._next >= len(self._due)
            if self._stopped and not self.sender.in_flight:
                self._enter(State.LOAD_DONE)
        elif self._state is State.LOAD_DONE and control is Control.FINAL:
            self._start_final()
        elif self._state is State.FINAL and self._reads_done == self._reads_total:
            self._finish(ExitCode.OK)

    # --- the steps
    def _start(self, start_ns: int) -> None:
        self.spool.set_origin(start_ns + round(self.config.warm_up * 1e9))
        self._due = [start_ns + due for due in self._due]
        self._started = True
        self._enter(State.LOADING)

    def _start_final(self) -> None:
        try:
            reads = list(self.workload.final())
            numbers = {cls.name: number for number, cls in enumerate(self.config.classes)}
            for cls, key in reads:
                if cls not in numbers or not isinstance(key, str):
                    raise ValueError(f"final() gave ({cls!r}, {key!r}): a class of this workload and a key are needed")
                self._reads.append((numbers[cls], key, 0, -1, 0))
        except BaseException as error:
            text = user_text(error, Path(self.config.workload))
            raise TargetError(f"final() of the workload raised:\n{text}", hint="see docs/workloads.md") from error
        self._reads_total = len(self._reads)
        self._reads_until = _monotonic_ns() + round(self.config.final_deadline * 1e9)
        self.sender.settled = self._read_done
        self._enter(State.FINAL)
        self._read_more(_monotonic_ns())

    def _read_more(self, now: int) -> None:
        """Keep `final_parallel` reads in flight; past the deadline record what is left as not sent."""
        reads, late = self._reads, now >= self._reads_until
        for _ in range(len(reads)):
            if self.sender.in_flight >= self.config.final_parallel:
                return
            number, key, attempt, parent, not_before = reads.popleft()
            if late:
                self.sender.drop(Operation(self.sender, number, now, FINAL, key, attempt, parent))
            elif not_before > now:
                reads.append((number, key, attempt, parent, not_before))
            else:
                self.sender.begin(number, now, FINAL, key=key, attempt=attempt, parent=parent)

    def _read_done(self, operation: Operation, settled: Settled) -> None:
        again = operation.attempt + 1
        now = _monotonic_ns()
        if settled.answer is Answer.YES or again >= _ATTEMPTS or now >= self._reads_until:
            self._reads_done += 1
        else:
            assert operation.key is not None
            self._reads.append((operation.number, operation.key, again, operation.row, now + _PAUSE_NS))
        # Not from within the stack of the one that has just ended: one read would nest in another.
        self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        try:
            self._read_more(_monotonic_ns())
            self._arm()
        except BaseException as error:
            self._fail(error)

    # --- the end
    def _fail(self, error: BaseException) -> None:
        """Stop, and say why: in the counters for the engine, on stderr for the log."""
        self._stopped = True
        if self._exit.done():
            return
        code = error.exit_code if isinstance(error, ChaosKitError) else ExitCode.INTERNAL
        text = str(error) if isinstance(error, ChaosKitError) else "".join(traceback.format_exception(error))
        self.counters.fail(text)
        self._state = State.FAILED
        self._exit.set_result(code)
        _say(text)

    def _finish(self, code: ExitCode) -> None:
        if not self._exit.done():
            self._state = State.DONE
            self._exit.set_result(code)

    def _on_signal(self, number: int) -> None:
        self.counters.fail(f"stopped by {signal.Signals(number).name}")
        if not self._exit.done():
            self._state = State.FAILED
            self._exit.set_result(128 + number)

    def _on_loop_error(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError):
            return  # of a socket: its connection is told, and the operation on it settled
        self._fail(error if isinstance(error, BaseException) else RuntimeError(str(context.get("message"))))

    async def run(self) -> int:
        """From READY to the end; the exit code."""
        loop = self._loop
        loop.set_exception_handler(self._on_loop_error)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_reader(self._timer.fileno(), self._wake)
        # A full collection is a pause of many ms in the middle of the load. What exists now stays; what the load leaves
        # in cycles (exceptions with their frames) is looked after by `_tick`, a little at a time.
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            self._enter(State.READY)
            self._arm()
            return await self._exit
        finally:
            loop.remove_reader(self._timer.fileno())
            self._timer.close()
            self.sender.close()
            self.spool.close()
            for _ in range(2):  # cancelled connects end
                await asyncio.sleep(0)
            self._lag_log.close()
            try:
                self._publish()
            except BaseException as error:
                _say(repr(error))


def _say(text: str) -> None:
    """A line on stderr, which is the worker's log; lost where the disk that is full holds the log as well."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode("utf-8", "replace"))


def _resolve(host: str, port: int) -> tuple[str, int]:
    """Numeric address of the entry, asked once: the name stands in a hosts file which does not change during a run, and
    a look-up per connection would cost a thread and put the resolver's time into the measured one.

    Raises:
        TargetError: the name is not known here.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TargetError(
            f"the target's entry {host}:{port} cannot be resolved from here: {error}",
            hint="is the name in the hosts file of the client?",
        ) from error
    address = found[0][4]
    return str(address[0]), int(address[1])


def main(arguments: list[str]) -> int:
    """The process: read the file, work, say how it ended. Returns the exit code."""
    if len(arguments) != 1:
        _say("usage: python -m chaoskit.traffic.worker CONFIG.json")
        return ExitCode.USAGE
    try:
        config = _read_config(Path(arguments[0]))
        counters = Counters.open(Path(config.counters))
    except ChaosKitError as error:
        _say(str(error))
        return error.exit_code
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < _FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES if hard < 0 else min(_FILES, hard), hard))
    # What is due is sent within microseconds, and shall not wait for the end of somebody else's long slice.
    with suppress(OSError):
        linux.short_slices()
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        code = loop.run_until_complete(Worker(config, counters, loop).run())
    except BaseException as error:
        known = isinstance(error, ChaosKitError)
        text = str(error) if known else traceback.format_exc()
        _say(text)
        counters.fail(text)
        last = counters.read()
        counters.publish(State.FAILED, last.counts, last.cells)
        code = error.exit_code if isinstance(error, ChaosKitError) else ExitCode.INTERNAL
    return code


def _read_config(path: Path) -> WorkerConfig:
    try:
        return WorkerConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise StoreError(f"cannot read the worker's configuration {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not a worker's configuration: {error}") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
