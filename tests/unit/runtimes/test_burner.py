"""The burner: never more than its share, never longer than its time, and an exit code that says how it came."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from chaoskit import linux
from chaoskit.runtimes.burner import burn


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_never_more_than_its_share_nor_longer_than_its_time(share: float) -> None:
    start, spent = time.monotonic(), time.process_time()
    burn(share, time.monotonic_ns() + 300_000_000)
    took, had = time.monotonic() - start, time.process_time() - spent
    assert took >= 0.29
    assert 0 < had <= share * took + 0.05  # a busy machine gives less


def test_a_time_that_has_passed_burns_nothing() -> None:
    spent = time.process_time()
    burn(1.0, time.monotonic_ns() - 1)
    assert time.process_time() - spent < 0.05


def started(shares: list[float], seconds: float) -> subprocess.Popen[bytes]:
    asked = {
        "shares": shares,
        "processors": sorted(os.sched_getaffinity(0)),
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "until_ns": time.monotonic_ns() + round(seconds * 1e9),
    }
    return subprocess.Popen(linux.isolated_python("chaoskit.runtimes.burner", json.dumps(asked)), cwd="/")


def children(pid: int, least: int) -> list[int]:
    end = time.monotonic() + 30
    while len(found := [one.pid for one in linux.descendants(pid)]) < least:
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def test_ends_by_itself_when_its_time_has_come() -> None:
    with started([0.1, 0.1], 0.5) as process:
        assert process.wait(30) == 0


def test_one_that_is_killed_ends_them_all_and_is_told() -> None:
    with started([0.05, 0.05], 600) as process:
        found = children(process.pid, 2)
        os.kill(found[0], signal.SIGKILL)
        assert process.wait(30) == 1
    assert all(linux.process(pid) is None for pid in found)


def test_none_outlives_the_one_that_waits() -> None:
    with started([0.05, 0.05], 600) as process:
        found = [linux.identity(pid) for pid in children(process.pid, 2)]
        time.sleep(0.2)  # they are there before they have asked for a signal at their parent's death
        process.kill()
    end = time.monotonic() + 30
    while any(who is not None and linux.alive(who) for who in found):
        assert time.monotonic() < end
        time.sleep(0.01)
