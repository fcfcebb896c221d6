"""One operation as a row: what was asked, when, and what is known of the outcome.

A row is written twice into the same slot: *opened* just before the request leaves (outcome OPEN), *closed* when the
answer, the error or the timeout is there. So a worker that is killed leaves its operations in flight on record, and a
reader treats OPEN as INFO: nobody knows whether they happened. Times are nanoseconds of CLOCK_MONOTONIC; -1 = never.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

__all__ = ["ERROR_NAMES", "NONE", "ROW", "Answer", "ErrorCode", "Outcome"]

NONE = -1  # absent time, value, parent or status


class Outcome(IntEnum):
    """What is known of an operation's effect on the system."""

    OPEN = 0  # never closed (the worker died): read as INFO
    OK = 1  # it happened
    FAIL = 2  # it did not happen, and never will
    INFO = 3  # nobody knows; a timeout of a write is this, never FAIL


class Answer(IntEnum):
    """What the client saw, whatever happened behind it. Yield counts YES within the budget."""

    NONE = 0  # not sent by the harness: says nothing about the system
    YES = 1  # a prompt, correct answer: done, or a negative that the protocol means (404, CAS mismatch)
    REFUSED = 2  # an error came back, or the connection was refused or reset
    SILENT = 3  # nothing came back within the timeout


class ErrorCode(IntEnum):
    """Why there was no good answer. The numbers are frozen: they are stored in rows."""

    NO_ERROR = 0
    UNSENT = 1  # in-flight bound reached or worker stopped: harness, outcome FAIL, answer NONE
    TIMEOUT = 2  # nothing complete within the timeout
    REFUSED = 3  # connect refused, before any byte of the request
    CONNECT = 4  # other failure to connect (unreachable, name not found), before any byte of the request
    CONNECT_TIMEOUT = 5  # connect hung until the timeout, before any byte of the request
    RESET = 6  # connection reset after the request began
    CLOSED = 7  # end of file after the request began, or in the middle of the answer
    PROTOCOL = 8  # the answer is not valid HTTP (or what the protocol is)
    STATUS = 9  # an error status; the number is in `status`
    WRONG = 10  # the workload could not read the answer (e.g. JSON missing)
    WORKLOAD = 11  # the workload's own code raised: the harness's or the user's bug


ERROR_NAMES = {code: code.name.lower().replace("_", "-") for code in ErrorCode}

# Fixed-width, little-endian, packed in this order with no gaps; `state` is written last, so that a torn row shows.
ROW = np.dtype(
    [
        ("index", "<i8"),  # slot in this worker's spool; in a merged history: rank over all workers
        ("worker", "<i2"),
        ("clock_domain", "<i2"),  # rows of one domain share one monotonic clock; 0 = this machine
        ("process", "<i4"),  # logical single-threaded client; retired after INFO
        ("session", "<i4"),  # logical session (sticky connection, cookies); -1 = none
        ("source", "<i2"),  # client node, index into the table `nodes`
        ("node", "<i2"),  # contacted node, index into `nodes`
        ("cls", "<i2"),  # operation class, index into `classes`
        ("f", "<i2"),  # what the model calls it (write, read), index into `functions`
        ("key", "<i8"),  # value id of the key's text
        ("value_id", "<i8"),  # what was asked (written), id in the value table
        ("result_id", "<i8"),  # what was answered (read), id in the value table
        ("t_due", "<i8"),
        ("t_sent", "<i8"),
        ("t_first", "<i8"),  # first byte of the answer
        ("t_end", "<i8"),
        ("parent", "<i8"),  # index of the operation this one retries
        ("bytes_out", "<i4"),
        ("bytes_in", "<i4"),
        ("status", "<i2"),  # status of the protocol (HTTP), -1 = none
        ("error", "<i2"),  # ErrorCode
        ("attempt", "<i2"),  # 0 = first
        ("outcome", "u1"),  # Outcome
        ("answer", "u1"),  # Answer
        ("phase", "u1"),  # as the worker was told: 0 warm-up, 1 load, 2 final reads; windows are derived elsewhere
        ("state", "u1"),  # 0 empty slot, 1 opened, 2 closed; written last
    ]
)
