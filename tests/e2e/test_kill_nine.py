"""kill -9 of any member of a run in the middle of a fault, as root and as an ordinary user: nothing is left."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chaoskit.errors import ExitCode


def members(word: str, run: str) -> list[int]:
    """Pids of processes of a run whose command line has this module in it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"CHAOSKIT_RUN={run}".encode() not in path.read_bytes().split(b"\0"):
                continue
            if b"-m\0" + word.encode() in path.with_name("cmdline").read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.fixture(
    params=["as this user", pytest.param("as an ordinary user", marks=pytest.mark.needs("root", "ordinary-user"))]
)
def somebody(request: pytest.FixtureRequest, user, tiny: Path) -> Iterator[tuple[object, Path]]:
    """A user, and the target in a place that this user may read."""
    if request.param == "as this user":
        yield user, tiny
        return
    folder = Path(tempfile.mkdtemp(prefix="chaoskit-e2e-"))
    folder.chmod(0o777)
    try:
        shutil.copytree(tiny, folder / "tiny")
        yield type(user)(folder, request.getfixturevalue("ordinary")), folder / "tiny"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


VICTIMS = {
    "worker": ("chaoskit.traffic.worker", ExitCode.ENVIRONMENT),
    "proxy": ("chaoskit.toxiproxy.server", ExitCode.INCONCLUSIVE),
    "supervisor": ("chaoskit.safety.supervisor", ExitCode.ENVIRONMENT),
}


@pytest.mark.parametrize("victim", list(VICTIMS))
def test_nothing_is_left(somebody, victim: str, left: Callable[[str], list[str]]) -> None:
    user, tiny = somebody
    word, code = VICTIMS[victim]
    process = user.start("run", "--runs", user.runs, str(tiny / "cache-slow.yaml"))
    assert process.stderr is not None
    for line in process.stderr:
        if "seen to bite" in line:
            break
    (folder,) = Path(user.runs).glob("*/*/")
    pids = members(word, folder.name)
    assert pids
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # its parent was among them
            continue
    out, err = process.communicate(timeout=90)
    assert process.returncode == code, out + err
    assert "Traceback" not in err
    until = time.monotonic() + 30
    while left(folder.name) and time.monotonic() < until:
        time.sleep(0.1)
    if left(folder.name):  # only where there is no PID namespace
        assert user("recover").code == ExitCode.OK
    assert left(folder.name) == []
    assert user("recover").code == ExitCode.OK
    if victim == "supervisor":  # who holds the leases: the next run must get them
        again = user.run(str(tiny / "cache-slow.yaml"), "--set", "timeline.slow.latency=100ms")
        assert again.code != ExitCode.UNHEALED, again.out
