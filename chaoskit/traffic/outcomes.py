"""ok, fail or info: what is known of an operation, from what its client saw. Pure; the table of docs/design.md.

The rule behind the table: FAIL only when it certainly did not happen, OK only when it certainly did, INFO otherwise. A
read changes nothing, so a read that is not OK is FAIL. What the harness itself did not manage (no descriptor, no port,
a bug in the workload) is answer NONE: it says nothing about the system.
"""

from __future__ import annotations

import errno
import socket
from typing import Literal, NamedTuple

from chaoskit.history.operation import Answer, ErrorCode, Outcome

__all__ = ["Kind", "Says", "Settled", "of_connect", "of_error", "of_reply"]

Kind = Literal["read", "write"]
Says = Literal["ok", "absent", "failed"]  # what the workload called an answer; None = nothing


class Settled(NamedTuple):
    """What the row says in the end."""

    outcome: Outcome
    answer: Answer
    error: ErrorCode


# What a failure of the client means for a write. For a read INFO is FAIL.
_ERRORS: dict[ErrorCode, tuple[Outcome, Answer]] = {
    ErrorCode.UNSENT: (Outcome.FAIL, Answer.NONE),
    ErrorCode.REFUSED: (Outcome.FAIL, Answer.REFUSED),
    ErrorCode.CONNECT: (Outcome.FAIL, Answer.REFUSED),
    ErrorCode.CONNECT_TIMEOUT: (Outcome.FAIL, Answer.SILENT),
    ErrorCode.TIMEOUT: (Outcome.INFO, Answer.SILENT),
    ErrorCode.RESET: (Outcome.INFO, Answer.REFUSED),
    ErrorCode.CLOSED: (Outcome.INFO, Answer.REFUSED),
    ErrorCode.PROTOCOL: (Outcome.INFO, Answer.REFUSED),
    ErrorCode.WRONG: (Outcome.INFO, Answer.REFUSED),
    ErrorCode.WORKLOAD: (Outcome.INFO, Answer.NONE),
}
_CONFLICT = 409
_UNSURE = frozenset({408, 425, 429})  # something in front of the server may say this after the work began
# Out of descriptors, buffers or ports: the limit of this machine, not an answer of the system.
_HARNESS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})


def of_error(error: ErrorCode, kind: Kind, *, begun: bool = True) -> Settled:
    """An operation that got no usable answer.

    Args:
        error: what went wrong; not NO_ERROR and not STATUS.
        begun: a byte of the request may have left. A workload that raised before that did nothing at all.
    """
    outcome, answer = _ERRORS[error]
    if outcome is Outcome.INFO and (kind == "read" or not begun):
        outcome = Outcome.FAIL
    return Settled(outcome, answer, error)


def of_connect(error: OSError) -> ErrorCode:
    """Why no connection came about. Nothing was sent, so whatever it is, the operation did not happen."""
    if isinstance(error, socket.gaierror):
        return ErrorCode.CONNECT  # its errno counts in numbers of its own
    if error.errno == errno.ECONNREFUSED:
        return ErrorCode.REFUSED
    if error.errno == errno.ETIMEDOUT:
        return ErrorCode.CONNECT_TIMEOUT
    return ErrorCode.UNSENT if error.errno in _HARNESS else ErrorCode.CONNECT


def of_reply(status: int, says: Says | None, kind: Kind, *, first: bool = True) -> Settled:
    """An operation that got a whole answer.

    The workload is believed within what the protocol allows: `ok` below 400, `absent` below 500. A workload that calls
    an error an answer YES has a bug which must not turn into a passed claim, so the status decides there. `failed` is
    always believed: only the workload can know that a server rejects before it acts.

    Args:
        says: what the workload called it.
        first: not a retry; a conflict on a retry may be the work of the attempt before.
    """
    if (says == "ok" and status < 400) or (says == "absent" and status < 500):
        return Settled(Outcome.OK, Answer.YES, ErrorCode.NO_ERROR)
    error = ErrorCode.WRONG if says is None and 200 <= status < 300 else ErrorCode.STATUS
    if kind == "read" or says == "failed":
        return Settled(Outcome.FAIL, Answer.REFUSED, error)
    rejected = 400 <= status < 500 and status not in _UNSURE and (first or status != _CONFLICT)
    return Settled(Outcome.FAIL if rejected else Outcome.INFO, Answer.REFUSED, error)
