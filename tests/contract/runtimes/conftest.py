"""Who starts things, and how to find what was started: by a marker in the command line, across PID namespaces."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from chaoskit import linux

PATIENCE = 60.0  # seconds: the machine may be busy; nothing here asserts speed


@pytest.fixture(params=["me", pytest.param("ordinary", marks=pytest.mark.needs("ordinary-user"))])
def python(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Command prefix of a Python: as whoever runs the tests, and as an ordinary user."""
    if request.param == "me":
        return (sys.executable,)
    found: tuple[str, ...] = request.getfixturevalue("ordinary")
    return found


@pytest.fixture
def marker() -> Iterator[str]:
    """A word to put into command lines; what still carries it at the end is killed."""
    word = f"chaoskit-test-{secrets.token_hex(6)}"
    yield word
    for pid in marked(word):
        os.kill(pid, signal.SIGKILL)


def marked(word: str) -> list[int]:
    """Processes whose command line holds the word and that still run."""
    return [
        pid
        for pid, found in linux.processes().items()
        if found.state not in linux.DEAD and pid != os.getpid() and word in linux.command(pid)
    ]


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], bool]:
    """Wait until something is true; False if it never is."""

    def wait(condition: Callable[[], bool]) -> bool:
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    return wait


@pytest.fixture
def find_marked(marker: str) -> Callable[[], list[int]]:
    return lambda: marked(marker)


@pytest.fixture(scope="session")
def ordinary_prefix() -> Callable[[], tuple[str, ...]]:
    """As the `ordinary` fixture, for fixtures of a wider scope."""

    def find() -> tuple[str, ...]:
        import importlib.util
        from pathlib import Path

        spec = importlib.util.spec_from_file_location("shared_conftest", Path(__file__).parents[2] / "conftest.py")
        assert spec is not None
        assert spec.loader is not None
        shared = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(shared)
        found: tuple[str, ...] = shared.ordinary_python()
        return found

    return find
