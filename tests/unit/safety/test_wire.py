"""Errors keep their class on the way from the supervisor; the pulse beats only while the loop turns."""

from __future__ import annotations

import inspect
import os
import time

import pytest

from chaoskit import errors
from chaoskit.errors import ChaosKitError, HistoryError, InternalError, SpecError
from chaoskit.safety.pulse import Pulse
from chaoskit.safety.wire import decode, encode, pack_error, unpack_error

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, ChaosKitError) and kind not in (SpecError, HistoryError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_errors_stay_what_they_are(kind: type[ChaosKitError]) -> None:
    found = unpack_error(decode(encode(pack_error(kind("what, where", hint="do this")))))
    assert type(found) is kind
    assert (found.message, found.hint, found.exit_code) == ("what, where", "do this", kind.exit_code)


@pytest.mark.parametrize(
    "data",
    [{}, {"type": "KeyError", "message": "x"}, {"type": "SpecError"}, {"type": "HistoryError"}, {"type": "worst"}],
)
def test_strange_errors_are_our_bug(data: dict[str, str]) -> None:
    assert type(unpack_error(data)) is InternalError


def test_foreign_errors_are_our_bug() -> None:
    found = unpack_error(pack_error(KeyError("db")))
    assert type(found) is InternalError and "KeyError: 'db'" in found.message


@pytest.mark.parametrize("line", [b"", b"[]\n", b'"x"\n', b"\xff\n", b"{\n"])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(line)


@pytest.mark.parametrize(("turned", "beats"), [(0.0, True), (3600.0, False)])
def test_the_pulse_beats_only_while_the_loop_turns(turned: float, beats: bool) -> None:
    pulse = Pulse()
    pulse.loop_seen = time.monotonic() - turned
    listening = os.dup(pulse.reading)
    os.set_blocking(listening, False)
    pulse.start()
    try:
        end = time.monotonic() + (30.0 if beats else 0.3)
        felt = b""
        while not felt and time.monotonic() < end:
            try:
                felt = os.read(listening, 100)
            except BlockingIOError:
                time.sleep(0.01)
        assert bool(felt) is beats
    finally:
        pulse.stop()
        pulse.stop()
        os.close(listening)
