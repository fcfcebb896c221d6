"""Sends what is due and settles it: rows, in-flight bound, deadlines, process ids, counts.

The user's coroutine is stepped by hand, without a task of the event loop: it runs until it awaits its one request,
which leaves in the same step, and goes on when the answer, an error or the timeout is there.
"""

from __future__ import annotations

import random
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chaoskit.errors import StoreError
from chaoskit.history.operation import NONE, Answer, ErrorCode, Outcome
from chaoskit.traffic.histogram import CELLS, add
from chaoskit.traffic.loading import user_text
from chaoskit.traffic.operation import MisuseError, Operation, RequestFailedError
from chaoskit.traffic.outcomes import Settled, of_error, of_reply
from chaoskit.traffic.protocols.http import HttpReply, Pool, encode_head, encode_request
from chaoskit.traffic.snapshot import COUNTS

if TYPE_CHECKING:
    import asyncio

    from numpy.typing import NDArray

    from chaoskit.contracts import Workload
    from chaoskit.history.spool import SpoolWriter
    from chaoskit.traffic.config import WorkerConfig

__all__ = ["FINAL", "Sender"]

FINAL = 2  # phase of the final reads, as in the column `phase`

_DUE, _SENT, _UNSENT, _IN_FLIGHT, _OK, _FAIL, _INFO, _YES, _REFUSED, _SILENT, _NONE, _LATE = range(len(COUNTS))
_OF_OUTCOME = {Outcome.OK: _OK, Outcome.FAIL: _FAIL, Outcome.INFO: _INFO}
_OF_ANSWER = {Answer.YES: _YES, Answer.REFUSED: _REFUSED, Answer.SILENT: _SILENT, Answer.NONE: _NONE}
_SHOWN = 5  # tracebacks of the workload that go to the log; the rest are only counted
_monotonic_ns = time.monotonic_ns


class Sender:
    """One worker's operations.

    Args:
        address: numeric (host, port) of the target's entry.
        failed: told once when nothing more can be recorded (disk full); the worker then stops.
    """

    def __init__(
        self,
        config: WorkerConfig,
        workload: Workload,
        spool: SpoolWriter,
        loop: asyncio.AbstractEventLoop,
        address: tuple[str, int],
        failed: Callable[[StoreError], None],
    ) -> None:
        self.spool = spool
        self.classes = tuple(cls.name for cls in config.classes)
        self.random = random.Random(f"{config.seed}/{config.worker}")
        self.prefix, self.worker, self.workers = config.key_prefix, config.worker, config.workers
        self.stamps = f"{config.key_prefix}-{config.worker}-"
        self.function, self.intern = spool.function, spool.intern
        self.workload_errors = 0
        self.first_error = ""
        self.in_flight = 0
        self.settled: Callable[[Operation, Settled], None] | None = None  # told of each end (final reads)
        self._workload = workload
        self._failed = failed
        self._broken = False
        self._file = Path(config.workload)
        self._kinds = [cls.kind for cls in config.classes]
        self._bounds = [config.bound(cls.name) for cls in config.classes]
        self._pools = [Pool(loop, address, config.idle_limit) for _ in config.classes]
        self._head = encode_head(config.host_header or f"{config.host}:{config.port}")
        self._timeout_ns = round(config.timeout * 1e9)
        self._waiting: deque[Operation] = deque()  # in order of sending, so in order of their deadlines
        self._processes = 0
        self._free_processes: list[int] = []
        self._counts = [[0] * len(COUNTS) for _ in config.classes]
        self._durations = [array("q") for _ in config.classes]
        self._cells = np.zeros((len(config.classes), CELLS), np.int64)
        self._late = 0
        self._shown = 0

    # --- sending
    def begin(
        self, number: int, t_due: int, phase: int, *, key: str | None = None, attempt: int = 0, parent: int = NONE
    ) -> None:
        """Perform one operation of class `number` that is due; returns when its request has left (or could not)."""
        counts = self._counts[number]
        counts[_DUE] += 1
        if self._broken:
            return
        operation = Operation(self, number, t_due, phase, key, attempt, parent)
        if counts[_IN_FLIGHT] >= self._bounds[number] and phase != FINAL:
            self.drop(operation)
            return
        counts[_IN_FLIGHT] += 1
        self.in_flight += 1
        raised: BaseException | None = None
        coroutine = operation.coroutine = self._workload.perform(operation, operation)
        try:
            if coroutine.send(None) is operation:
                return  # the request is on its way
            coroutine.close()
            raised = MisuseError("perform() may only await http.request()")
        except StopIteration:
            raised = MisuseError("perform() returned without a request")
        except StoreError as error:
            self._break(error)
            return
        except BaseException as error:
            raised = error
        self._excuse(raised)
        # Whatever happens to a request that is already on its way, nobody will look at the answer.
        begun = operation.row != NONE
        if begun:
            self._pools[number].give_up(operation)
        self._close(operation, of_error(ErrorCode.WORKLOAD, self._kinds[number], begun=begun), NONE, _monotonic_ns())

    def launch(
        self, operation: Operation, method: str, path: str, json: Any, body: bytes, headers: Mapping[str, str] | None
    ) -> None:
        """Put the operation on record and its request on the wire.

        Raises:
            ValueError: it cannot be a request. StoreError: it cannot be recorded, so it is not sent.
        """
        request = encode_request(self._head, method, path, json, body, headers)
        operation.bytes_out = len(request)
        operation.head_only = method == "HEAD"
        now = operation.t_sent = _monotonic_ns()
        self._open(operation)
        counts = self._counts[operation.number]
        counts[_SENT] += 1
        late = now - operation.t_due
        if late > self._late:
            self._late = late
        if late > counts[_LATE]:
            counts[_LATE] = late
        self._waiting.append(operation)
        self._pools[operation.number].send(operation, request, now)

    def drop(self, operation: Operation) -> None:
        """Record an operation that is not sent: in-flight bound reached, or no time left for it."""
        counts = self._counts[operation.number]
        counts[_IN_FLIGHT] += 1
        self.in_flight += 1
        try:
            if operation.key is not None:
                operation.key_id = self.intern(operation.key)
            self._close(operation, of_error(ErrorCode.UNSENT, self._kinds[operation.number]), NONE, _monotonic_ns())
        except StoreError as error:
            self._break(error)

    # --- settling
    def resume(self, operation: Operation, reply: HttpReply | None, error: ErrorCode, now_ns: int) -> None:
        """Let the workload see the answer (or that there is none) and settle the operation."""
        coroutine = operation.coroutine
        if coroutine is None or operation.done:
            return
        raised: BaseException | None = None
        try:
            if reply is not None:
                coroutine.send(reply)
            else:
                coroutine.throw(RequestFailedError(error.name))
            coroutine.close()
            raised = MisuseError("perform() may only await http.request()")
        except (StopIteration, RequestFailedError):
            pass
        except StoreError as full:
            self._break(full)
            return
        except BaseException as found:
            raised = found
        if self.spool.failed is not None:
            self._break(self.spool.failed)  # perform() swallowed it: what it settled cannot be trusted
            return
        kind = self._kinds[operation.number]
        if reply is None:
            self._close(operation, of_error(error, kind), NONE, now_ns)
            return
        status = reply.status
        settled = of_reply(status, operation.says, kind, first=operation.attempt == 0)
        if raised is not None:
            # A missing key or a text that is no JSON is taken as the answer's fault; everything else is a bug.
            wrong = isinstance(raised, (ValueError, LookupError))
            self._excuse(raised, count=not wrong)
            if operation.says is None and 200 <= status < 300 and not wrong:
                settled = of_error(ErrorCode.WORKLOAD, kind)
        self._close(operation, settled, status, now_ns)

    def expire(self, now_ns: int) -> None:
        """Give up every operation that was sent `timeout` ago."""
        waiting, limit = self._waiting, now_ns - self._timeout_ns
        while waiting and (waiting[0].done or waiting[0].t_sent <= limit):
            operation = waiting.popleft()
            if not operation.done:
                error = self._pools[operation.number].give_up(operation)
                self.resume(operation, None, error, _monotonic_ns())

    def next_deadline(self) -> int | None:
        """Monotonic ns at which `expire` has something to do."""
        waiting = self._waiting
        while waiting and waiting[0].done:
            waiting.popleft()
        return waiting[0].t_sent + self._timeout_ns if waiting else None

    def _open(self, operation: Operation) -> None:
        free = self._free_processes
        if free:
            operation.process = free.pop()
        else:
            operation.process = self._processes
            self._processes += 1
        operation.row = self.spool.open(
            process=operation.process,
            source=0,
            node=1,
            cls=operation.number,
            f=operation.f_id,
            key=operation.key_id,
            value_id=operation.value_id,
            t_due=operation.t_due,
            t_sent=operation.t_sent,
            phase=operation.phase,
            bytes_out=operation.bytes_out,
            attempt=operation.attempt,
            parent=operation.parent,
        )

    def _close(self, operation: Operation, settled: Settled, status: int, now_ns: int) -> None:
        if operation.row == NONE:  # never sent
            try:
                self._open(operation)
            except StoreError as error:
                self._break(error)
                return
        outcome, answer, error_code = settled
        self.spool.close_row(
            operation.row,
            key=operation.key_id,
            value_id=operation.value_id,
            result_id=operation.result_id,
            t_due=operation.t_due,
            t_sent=operation.t_sent,
            t_first=operation.t_first,
            t_end=now_ns,
            bytes_out=operation.bytes_out,
            bytes_in=operation.bytes_in,
            status=status,
            error=error_code,
            outcome=outcome,
            answer=answer,
            phase=operation.phase,
            attempt=operation.attempt,
            parent=operation.parent,
        )
        operation.done = True
        operation.coroutine = None
        if outcome is not Outcome.INFO:  # after INFO the client may still be at work: its id is never used again
            self._free_processes.append(operation.process)
        counts = self._counts[operation.number]
        counts[_OF_OUTCOME[outcome]] += 1
        counts[_OF_ANSWER[answer]] += 1
        counts[_IN_FLIGHT] -= 1
        self.in_flight -= 1
        if answer is Answer.YES:
            self._durations[operation.number].append(now_ns - operation.t_due)
        elif error_code is ErrorCode.UNSENT:
            counts[_UNSENT] += 1
        if self.settled is not None:
            self.settled(operation, settled)

    def _excuse(self, raised: BaseException, *, count: bool = True) -> None:
        """The workload's code raised: keep the first text, print some, count all."""
        text = f"perform() raised:\n{user_text(raised, self._file)}"
        if count:
            self.first_error = self.first_error or text
            self.workload_errors += 1
        if self._shown < _SHOWN:
            self._shown += 1
            sys.stderr.write(text + "\n")

    def _break(self, error: StoreError) -> None:
        """Nothing more can be recorded, so nothing more is sent; rows in flight stay OPEN."""
        if not self._broken:
            self._broken = True
            self._failed(error)

    # --- telling
    def publishable(self) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """Counts, histogram cells, and the worst send error (ns) since the last call."""
        for number, durations in enumerate(self._durations):
            if durations:
                add(self._cells[number], np.frombuffer(durations, np.int64))
                self._durations[number] = array("q")
        late, self._late = self._late, 0
        return np.array(self._counts, np.int64), self._cells, late

    def sweep(self, now_ns: int) -> None:
        """Close connections that have been idle for too long."""
        for pool in self._pools:
            pool.sweep(now_ns)

    def close(self) -> None:
        """Drop all connections; rows in flight stay OPEN."""
        self._broken = True
        for operation in self._waiting:
            if not operation.done:
                self._pools[operation.number].give_up(operation)
                if operation.coroutine is not None:
                    operation.coroutine.close()
                    operation.coroutine = None
        self._waiting.clear()
        for pool in self._pools:
            pool.close()
