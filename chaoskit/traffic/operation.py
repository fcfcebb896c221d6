"""One operation as the user's workload sees it: intent and HTTP client in one object, so that each costs one object."""

from __future__ import annotations

from collections.abc import Coroutine, Generator, Mapping
from typing import TYPE_CHECKING, Any

from chaoskit.history.operation import NONE, ErrorCode
from chaoskit.traffic.outcomes import Says
from chaoskit.traffic.protocols.http import HttpReply

if TYPE_CHECKING:
    import asyncio

    from chaoskit.traffic.protocols.http import Connection
    from chaoskit.traffic.sending import Sender

__all__ = ["MisuseError", "Operation", "RequestFailedError"]


class RequestFailedError(Exception):
    """There will be no answer: raised into `perform`, which should let it pass. The worker records why."""


class MisuseError(RuntimeError):
    """The workload broke the contract of Intent or HttpClient; the message says how."""


class Operation:
    """Implements contracts.Intent, contracts.HttpClient and the Call of its request.

    Names without underscore are for the workload or for the pool; the rest is the Sender's.
    """

    __slots__ = (
        "attempt",
        "bytes_in",
        "bytes_out",
        "cls",
        "connecting",
        "connection",
        "coroutine",
        "done",
        "f_id",
        "head_only",
        "index",
        "key",
        "key_id",
        "number",
        "parent",
        "phase",
        "process",
        "random",
        "result_id",
        "row",
        "says",
        "sender",
        "stamp",
        "t_due",
        "t_first",
        "t_sent",
        "value_id",
    )

    def __init__(
        self, sender: Sender, number: int, t_due: int, phase: int, key: str | None, attempt: int, parent: int
    ) -> None:
        self.sender = sender
        self.number = number  # of the class
        self.cls = sender.classes[number]
        self.index = index = sender.spool.count
        self.random = sender.random
        self.stamp = sender.stamps + str(index)
        self.key = key
        self.t_due = t_due
        self.phase = phase
        self.attempt = attempt
        self.parent = parent
        self.process = self.row = self.f_id = self.key_id = self.value_id = self.result_id = NONE
        self.t_sent = self.t_first = NONE
        self.bytes_out = self.bytes_in = 0
        self.says: Says | None = None
        self.coroutine: Coroutine[Any, Any, None] | None = None
        self.done = self.head_only = False
        self.connection: Connection | None = None
        self.connecting: asyncio.Task[None] | None = None

    # As contracts.Intent
    @property
    def prefix(self) -> str:
        """Begins every stamp of the cell."""
        return self.sender.prefix

    @property
    def worker(self) -> int:
        """Number of this worker."""
        return self.sender.worker

    @property
    def workers(self) -> int:
        """How many there are."""
        return self.sender.workers

    def asks(self, *, f: str, key: str | None = None, value: str | None = None) -> None:
        """Say what the model calls this, and what is written, before the request leaves."""
        if self.row != NONE:
            raise MisuseError("intent.asks() comes before http.request()")
        self.f_id = self.sender.function(_text("f", f))
        if key is not None:
            self.key_id = self.sender.intern(_text("key", key))
        if value is not None:
            self.value_id = self.sender.intern(_text("value", value))

    def ok(self, *, key: str | None = None, result: str | None = None) -> None:
        """It happened."""
        self._settle("ok")
        if key is not None:
            self.key_id = self.sender.intern(_text("key", key))
        if result is not None:
            self.result_id = self.sender.intern(_text("result", result))

    def absent(self) -> None:
        """A negative that the protocol means."""
        self._settle("absent")

    def failed(self) -> None:
        """It certainly did not happen."""
        self._settle("failed")

    def _settle(self, says: Says) -> None:
        if self.row == NONE:
            raise MisuseError(f"intent.{says}() before http.request(): nothing has been asked yet")
        if self.says is not None:
            raise MisuseError(f"intent.{says}() after intent.{self.says}(): an operation is settled once")
        self.says = says

    # As contracts.HttpClient
    async def request(
        self, method: str, path: str, *, json: Any = None, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> HttpReply:
        """Send and wait for the whole answer."""
        if self.f_id == NONE:
            raise MisuseError("intent.asks(f=...) comes before http.request(): what is asked must be on record first")
        if self.row != NONE:
            raise MisuseError("one operation is one request; a second one needs an operation of its own")
        self.sender.launch(self, method, path, json, body, headers)
        return await self

    def __await__(self) -> Generator[Operation, HttpReply, HttpReply]:
        """What the Sender drives: the operation itself stands for the answer that is awaited."""
        return (yield self)

    # As protocols.http.Call
    def on_answer(self, reply: HttpReply, now_ns: int) -> None:
        """The whole answer is there."""
        self.sender.resume(self, reply, ErrorCode.NO_ERROR, now_ns)

    def on_error(self, error: ErrorCode, now_ns: int) -> None:
        """There will be no answer."""
        self.sender.resume(self, None, error, now_ns)


def _text(what: str, text: object) -> str:
    if not isinstance(text, str):
        raise MisuseError(f"{what} must be a string, not {type(text).__name__}: histories hold texts")
    return text
