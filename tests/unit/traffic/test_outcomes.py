from __future__ import annotations

import errno
import socket

import pytest

from chaoskit.history.operation import Answer, ErrorCode, Outcome
from chaoskit.traffic.outcomes import Kind, of_connect, of_error, of_reply

OK, FAIL, INFO = Outcome.OK, Outcome.FAIL, Outcome.INFO


@pytest.mark.parametrize(
    ("error", "write", "read", "answer"),
    [
        (ErrorCode.REFUSED, FAIL, FAIL, Answer.REFUSED),
        (ErrorCode.CONNECT, FAIL, FAIL, Answer.REFUSED),
        (ErrorCode.CONNECT_TIMEOUT, FAIL, FAIL, Answer.SILENT),
        (ErrorCode.TIMEOUT, INFO, FAIL, Answer.SILENT),
        (ErrorCode.RESET, INFO, FAIL, Answer.REFUSED),
        (ErrorCode.CLOSED, INFO, FAIL, Answer.REFUSED),
        (ErrorCode.PROTOCOL, INFO, FAIL, Answer.REFUSED),
        (ErrorCode.WRONG, INFO, FAIL, Answer.REFUSED),
        (ErrorCode.UNSENT, FAIL, FAIL, Answer.NONE),
        (ErrorCode.WORKLOAD, INFO, FAIL, Answer.NONE),
    ],
)
def test_failures(error: ErrorCode, write: Outcome, read: Outcome, answer: Answer) -> None:
    assert of_error(error, "write") == (write, answer, error)
    assert of_error(error, "read") == (read, answer, error)


def test_a_workload_that_raised_before_it_sent_did_nothing() -> None:
    assert of_error(ErrorCode.WORKLOAD, "write", begun=False).outcome is FAIL


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 413, 422])
@pytest.mark.parametrize("kind", ["read", "write"])
def test_rejected_before_it_began(status: int, kind: Kind) -> None:
    assert of_reply(status, None, kind) == (FAIL, Answer.REFUSED, ErrorCode.STATUS)


@pytest.mark.parametrize("status", [300, 302, 408, 425, 429, 500, 502, 503, 504])
def test_nobody_knows(status: int) -> None:
    assert of_reply(status, None, "write") == (INFO, Answer.REFUSED, ErrorCode.STATUS)
    assert of_reply(status, None, "read") == (FAIL, Answer.REFUSED, ErrorCode.STATUS)


def test_accepted_by_the_workload() -> None:
    for status in (200, 201, 204, 302, 304):
        assert of_reply(status, "ok", "write") == (OK, Answer.YES, ErrorCode.NO_ERROR)
    for status in (200, 404, 410):
        assert of_reply(status, "absent", "read") == (OK, Answer.YES, ErrorCode.NO_ERROR)


def test_an_error_is_no_success_whatever_a_careless_workload_says() -> None:
    assert of_reply(500, "ok", "write").outcome is INFO
    assert of_reply(503, "absent", "read") == (FAIL, Answer.REFUSED, ErrorCode.STATUS)
    assert of_reply(404, "ok", "read") == (FAIL, Answer.REFUSED, ErrorCode.STATUS)


def test_a_workload_may_know_that_a_server_rejects_before_it_acts() -> None:
    assert of_reply(503, "failed", "write") == (FAIL, Answer.REFUSED, ErrorCode.STATUS)
    assert of_reply(200, "failed", "write") == (FAIL, Answer.REFUSED, ErrorCode.STATUS)


def test_success_that_the_workload_did_not_accept() -> None:
    assert of_reply(200, None, "write") == (INFO, Answer.REFUSED, ErrorCode.WRONG)
    assert of_reply(200, None, "read") == (FAIL, Answer.REFUSED, ErrorCode.WRONG)


def test_a_conflict_on_a_retry_may_be_the_attempt_before() -> None:
    assert of_reply(409, None, "write", first=False).outcome is INFO


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, ""), ErrorCode.REFUSED),
        (OSError(errno.EHOSTUNREACH, ""), ErrorCode.CONNECT),
        (OSError(errno.ETIMEDOUT, ""), ErrorCode.CONNECT_TIMEOUT),
        (socket.gaierror(socket.EAI_NONAME, ""), ErrorCode.CONNECT),
        (OSError(errno.EMFILE, ""), ErrorCode.UNSENT),
        (OSError(errno.EADDRNOTAVAIL, ""), ErrorCode.UNSENT),
    ],
)
def test_why_no_connection_came_about(error: OSError, code: ErrorCode) -> None:
    assert of_connect(error) is code
