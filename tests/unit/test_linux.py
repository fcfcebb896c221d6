"""Namespaces are tried for real where the machine allows it; /proc and the timer are read as they are."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit import linux
from chaoskit.errors import EnvironmentFault
from chaoskit.linux import capabilities, procfs, sockdiag, tcp

SLEEP = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(arguments or SLEEP, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def test_timer_fires_at_its_instant_and_only_once() -> None:
    with linux.Timerfd() as timer:
        assert timer.read() == 0
        due = time.monotonic_ns() + 30_000_000
        timer.arm(due)
        assert select.select([timer], [], [], 30)[0]
        assert time.monotonic_ns() >= due
        assert (timer.read(), timer.read()) == (1, 0)


def test_timer_armed_for_the_past_fires_at_once() -> None:
    with linux.Timerfd() as timer:
        timer.arm(0)
        assert select.select([timer], [], [], 30)[0]


def test_closed_timer_says_so() -> None:
    timer = linux.Timerfd()
    timer.close()
    timer.close()
    with pytest.raises(OSError, match="timerfd_settime"):
        timer.arm(1)


def test_identity_is_more_than_a_pid() -> None:
    with running() as process:
        who = linux.identity(process.pid)
        assert who is not None
        assert linux.alive(who)
        assert not linux.alive(who._replace(start_ticks=who.start_ticks + 1))
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        found = linux.process(process.pid)
        assert found is not None
        assert found.state in linux.DEAD
        assert not linux.alive(who)  # a zombie runs no more
    assert linux.identity(process.pid) is None
    assert linux.command(process.pid) == ""
    assert linux.ns_pids(process.pid) == ()


def test_names_with_spaces_and_parentheses_are_read() -> None:
    raw = b"42 (a) b (c) S 7 " + b" ".join(b"%d" % n for n in range(5, 60))
    found = procfs._parse(raw)
    assert (found.pid, found.name, found.state, found.parent) == (42, "a) b (c", "S", 7)
    assert found.start_ticks == 22  # field 22 of proc(5)


def test_descendants_are_found_through_sessions_of_their_own() -> None:
    inner = "import os, time; os.fork() or os.setsid(); print('up', flush=True); time.sleep(600)"
    with running(sys.executable, "-I", "-S", "-c", inner) as process:
        assert process.stdout is not None
        for _ in range(2):
            process.stdout.readline()
        found = linux.descendants(process.pid)
        assert [child.parent for child in found] == [process.pid]
        assert process.pid in {child.pid for child in linux.descendants(os.getpid())}
        os.kill(found[0].pid, signal.SIGKILL)


def test_descendants_of_a_table() -> None:
    table = {n: linux.Process(n, parent, "S", 0, "") for n, parent in [(1, 0), (2, 1), (3, 2), (4, 3), (5, 1), (9, 7)]}
    assert [found.pid for found in linux.descendants(2, table)] == [3, 4]
    assert [found.pid for found in linux.descendants(1, table)] == [2, 5, 3, 4]
    assert linux.descendants(9, table) == []


def test_processor_time_is_counted_and_nobody_has_any_when_gone() -> None:
    before = linux.usage(os.getpid())
    assert before is not None
    spent = time.process_time()
    while time.process_time() - spent < 0.1:
        pass
    after = linux.usage(os.getpid())
    assert after is not None
    assert after.cpu - before.cpu >= 0.09 and after.waited >= before.waited
    assert linux.usage(2**22 + 1) is None


def test_short_slices_change_nothing_else() -> None:
    code = """
import os, re, sys
from pathlib import Path
from chaoskit import linux
os.nice(3)
linux.short_slices(150_000)
found = re.search(r"se\\.slice *: *(\\d+)", Path("/proc/self/sched").read_text())
print(found and found[1], os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0) == os.SCHED_OTHER)
"""
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    slices, after, usual = done.stdout.split()
    assert (int(after), usual) == (min(nice + 3, 19), "True")
    kernel = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))
    if kernel >= (6, 12) and slices != "None":
        assert slices == "150000"


def test_no_proc_is_the_environments_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procfs.os, "listdir", lambda _: [])
    with pytest.raises(EnvironmentFault, match="/proc") as caught:
        linux.processes()
    assert caught.value.hint


def test_listening_sockets_and_their_owner() -> None:
    with socket.socket() as here, socket.socket(socket.AF_INET6) as everywhere:
        here.bind(("127.200.1.2", 0))
        here.listen()
        everywhere.bind(("::1", 0))
        everywhere.listen()
        with socket.create_connection(here.getsockname()):
            found = {(s.host, s.port): s for s in linux.listeners()}
            mine = found["127.200.1.2", here.getsockname()[1]]
            assert not mine.wildcard
            assert ("::1", everywhere.getsockname()[1]) in found
            assert linux.owners([os.getpid()])[mine.inode] == os.getpid()
            assert any(s.remote_port == mine.port for s in linux.sockets())


@given(st.ip_addresses(v=4), st.integers(0, 65535))
def test_addresses_of_proc_net_are_in_the_machines_byte_order(address: object, port: int) -> None:
    raw = socket.inet_aton(str(address))
    text = int.from_bytes(raw, sys.byteorder)
    assert tcp._endpoint(f"{text:08X}:{port:04X}") == (str(address), port)
    mapped = int.from_bytes(bytes([0, 0, 0xFF, 0xFF]), sys.byteorder)
    assert tcp._endpoint(f"{0:016X}{mapped:08X}{text:08X}:{port:04X}") == (str(address), port)


def test_wildcards_are_recognised() -> None:
    assert tcp.Socket(*tcp._endpoint("00000000:1538"), "", 0, 10, 1).wildcard
    assert tcp.Socket(*tcp._endpoint("0" * 32 + ":1538"), "", 0, 10, 1).wildcard


def test_hosts_file_names_localhost_and_what_is_given() -> None:
    lines = linux.hosts_text([("127.9.0.1", "db"), ("127.9.1.2", "localhost")]).splitlines()
    assert "127.9.0.1\tdb" in lines
    assert "127.9.1.2\tlocalhost" in lines
    assert "127.0.0.1\tlocalhost" not in lines


def test_only_the_hosts_line_of_nsswitch_changes() -> None:
    text = linux.nsswitch_text("passwd: files\n hosts : resolve [!UNAVAIL=return] files dns # systemd\nshadow: files\n")
    assert text == "passwd: files\nshadow: files\nhosts: files dns\n"


def test_probe_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(capabilities.SWITCH, "off")
    found = linux.probe.__wrapped__()
    assert (found.hosts, found.pids) == (False, False)
    assert found.reason
    assert found.remedy


def test_probe_tells_what_failed_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(capabilities, "enter", fails)
    assert capabilities._in_child(capabilities._try_hosts) == "Operation not permitted"
    assert capabilities._in_child(capabilities._try_pids) == "Operation not permitted"
    for private_hosts in (False, True):
        assert capabilities._remedy(private_hosts=private_hosts)


@pytest.mark.needs("ordinary-user")
def test_probe_of_an_ordinary_user(ordinary: tuple[str, ...]) -> None:
    code = "from chaoskit import linux; print(*linux.probe(), sep='|')"
    done = subprocess.run([*ordinary, "-c", code], capture_output=True, text=True, cwd="/", check=True)
    hosts, _, reason, remedy = done.stdout.strip().split("|")
    assert (hosts == "True") == (not reason)
    assert bool(reason) == bool(remedy)


@pytest.mark.needs("namespaces")
def test_closed_folder_is_covered_for_the_user_alone(tmp_path: Path) -> None:
    closed = tmp_path / "clo sed"
    inside = closed / "a" / "data"
    inside.mkdir(parents=True)
    (inside / "file").write_text("seen")
    (closed / "secret").write_text("hidden")
    closed.chmod(0o700)
    stranger = (os.geteuid() + 4321, os.getegid() + 4321)
    code = (
        "import sys; sys.path.append(sys.argv[1]); from chaoskit import linux; linux.enter();"
        "inside, closed = sys.argv[2:4]; user = int(sys.argv[4]), int(sys.argv[5]);"
        "linux.open_up([inside, inside], user, private=True);"
        "import os; print(open(inside + '/file').read(), os.listdir(closed), oct(os.stat(closed).st_mode & 0o777))"
    )
    root = str(Path(linux.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code, root, str(inside), str(closed), *map(str, stranger)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "seen ['a'] 0o755"
    assert sorted(path.name for path in closed.iterdir()) == ["a", "secret"]
    with pytest.raises(PermissionError, match="may not enter"):
        linux.open_up([str(inside)], stranger, private=False)


def test_connections_are_the_same_asked_for_and_in_the_tables() -> None:
    with ExitStack() as held:
        servers = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        ends = [server.getsockname() for server in servers]
        mapped = held.enter_context(socket.socket(socket.AF_INET6))
        mapped.connect((f"::ffff:{ends[0][0]}", ends[0][1]))
        for end in (ends[0], ends[2], ends[2]):
            held.enter_context(socket.create_connection(end))
        for wanted, count in ((ends[:1], 2), (ends[1:2], 0), (ends, 4), ([], 0)):
            try:
                asked = len(sockdiag.connections_to(wanted))
            except OSError:
                pytest.skip("this kernel cannot be asked for sockets")
            assert asked == count
            assert sorted(linux.connected(wanted)) == sorted(tcp._in_tables(wanted))


def test_segments_are_counted_by_the_kernel() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as near:
        far, _ = server.accept()
        with far:
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            assert linux.segments(near) == 0
            for _ in range(3):
                far.send(b"x")
                assert near.recv(1) == b"x"
            assert linux.segments(near) == 3
    assert linux.segments(near) is None  # closed
