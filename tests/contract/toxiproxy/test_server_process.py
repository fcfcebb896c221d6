"""The server as a process: starting, stopping, seeds, and the file in which it says how late it was."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time

import pytest

from chaoskit.stack.effects import Toxic
from chaoskit.toxiproxy.client import Client
from chaoskit.toxiproxy.links import server_argv


@pytest.fixture(params=["uvloop", "asyncio"])
def server(request, tmp_path, wire):
    with wire.running(request.param, tmp_path) as server:
        yield server


@pytest.fixture
def begin():
    """`subprocess.Popen`, and whatever becomes of the test nothing is left running."""
    begun = []

    def begin(argv, **how) -> subprocess.Popen[str]:
        begun.append(subprocess.Popen(argv, **how))
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.wait()
        for stream in filter(None, (process.stdout, process.stderr)):
            stream.close()


def lag_lines(server) -> list[dict]:
    return [json.loads(line) for line in server.lag_file.read_text().splitlines()]


def test_lag_is_written_ten_times_a_second_and_shows_a_stall(server, wire):
    wire.until(lambda: len(lag_lines(server)) >= 5)
    before = lag_lines(server)
    for line in before:
        assert set(line) == {"t", "lag_ns", "cpu"}
        assert line["lag_ns"] >= 0
    gaps = [after["t"] - line["t"] for line, after in itertools.pairwise(before)]
    assert sorted(gaps)[len(gaps) // 2] >= 100_000_000
    assert before[-1]["t"] <= time.monotonic_ns()
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    server.process.send_signal(signal.SIGCONT)
    wire.until(lambda: max(line["lag_ns"] for line in lag_lines(server)) >= 400_000_000)


def test_what_was_measured_survives_kill_9(tmp_path, begin):
    argv = server_argv("127.0.0.1", 0, str(tmp_path / "lag.jsonl"), 3)
    assert argv[0] == sys.executable
    process = begin(argv, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "listening on 127.0.0.1:" in process.stdout.readline()
    end = time.monotonic() + 20
    while not (tmp_path / "lag.jsonl").read_text().count("\n") >= 3:
        assert time.monotonic() < end
        time.sleep(0.05)
    process.kill()
    process.wait()
    process.stdout.close()
    text = (tmp_path / "lag.jsonl").read_text()
    assert text.endswith("\n")
    assert all("lag_ns" in json.loads(line) for line in text.splitlines())


def test_sigterm_closes_everything_and_leaves_with_zero(server, wire):
    with socket.create_server(("127.0.0.1", 0)) as listener, Client(server.url, timeout=20) as client:
        upstream = f"127.0.0.1:{listener.getsockname()[1]}"
        for name, toxic in (("a", "blackhole"), ("b", "latency")):
            proxy = client.create(name, listen="127.0.0.1:0", upstream=upstream)
            host, _, port = proxy.listen.rpartition(":")
            with socket.create_connection((host, int(port)), 20) as near:
                far, _ = listener.accept()
                values = {"latency": 60_000} if toxic == "latency" else {}
                client.add_toxic(name, Toxic(name="t", type=toxic, attributes=values))
                far.sendall(b"held")
                far.settimeout(20)
                near.settimeout(20)
                if name == "b":
                    server.process.terminate()
                    assert near.recv(1) == b""
                    assert far.recv(1) == b""
                far.close()
        assert server.process.wait(20) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_can_be_started_on_the_same_ports_again_at_once(tmp_path, number, begin, wire):
    control, listen = wire.own_address(), wire.own_address()
    for _ in range(3):
        argv = server_argv(*control, None, None)
        process = begin(argv, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert "listening on" in process.stdout.readline()
        with Client(f"http://{wire.text(control)}", timeout=20) as client:
            client.create("p", listen=wire.text(listen), upstream="127.0.0.1:9")
            socket.create_connection(listen, 20).close()
            process.send_signal(number)
            assert process.wait(20) == 0
        process.stdout.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "{taken}"], "address already in use"),
        (["--host", "1.2.3.4"], "cannot assign requested address"),
        (["--port", "0", "--host", "127.0.0.1", "--lag-file", "{folder}/none/lag"], "lag file"),
        (["--port", "0", "--host", "127.0.0.1", "--config", "/dev/zero"], "larger than"),
    ],
)
def test_what_cannot_start_says_why(arguments, message, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        argv = [sys.executable, "-m", "chaoskit.toxiproxy.server", "--host", "127.0.0.1"]
        argv += [argument.format(taken=port, folder=tmp_path) for argument in arguments]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 4
    assert message in done.stderr
    assert "next:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_does_not_stop_it(tmp_path, begin):
    argv = server_argv("127.0.0.1", 0, "/dev/full", None)
    process = begin(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline().rpartition(":")[2])
    time.sleep(0.3)
    with Client(f"http://127.0.0.1:{port}", timeout=20) as client:
        assert client.version() == "2.12.0"
    process.terminate()
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize(
    ("redirected", "level"), [(">/dev/full", ""), ("<&- >&- 2>&-", ""), ("| true", ""), (">/dev/full", "trace")]
)
def test_whoever_has_no_ear_for_it_is_served_all_the_same(redirected, level, wire, begin):
    host, port = address = wire.own_address()
    serve = f"{shlex.quote(sys.executable)} -m chaoskit.toxiproxy.server -host {host} -port {port}"
    command = f"LOG_LEVEL={level} {serve} {redirected}"
    process = begin(["/bin/sh", "-c", command], start_new_session=True)
    try:
        wire.until(lambda: wire.listens(address))
        with Client(f"http://{host}:{port}", timeout=20) as client:
            assert client.version() == "2.12.0"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)
    wire.until(lambda: not wire.listens(address))


def test_it_can_still_be_healed_when_clients_have_taken_all_descriptors(begin):
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (260, 260));"
        "from chaoskit.toxiproxy.server.__main__ import main; sys.exit(main())"
    )
    argv = [sys.executable, "-c", code, "--host", "127.0.0.1", "--port", "0"]
    process = begin(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline().rpartition(":")[2])
    with socket.create_server(("127.0.0.1", 0), backlog=500) as listener:
        upstream = f"127.0.0.1:{listener.getsockname()[1]}"
        with Client(f"http://127.0.0.1:{port}", timeout=20) as client:
            host, _, listen = client.create("p", listen="127.0.0.1:0", upstream=upstream).listen.rpartition(":")
        clients = []
        for _ in range(200):
            try:
                clients.append(socket.create_connection((host, int(listen)), 20))
            except ConnectionResetError:  # turned away while it was still connecting
                pass
        with Client(f"http://127.0.0.1:{port}", timeout=20) as client:
            client.add_toxic("p", Toxic(name="t", type="blackhole"))
            assert 1 <= client.counters()["p"].open <= 30
            assert client.reset()["p"].toxics == ()
            assert not client.update("p", enabled=False).enabled
        for sock in clients:
            sock.close()
    process.terminate()
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert all(" WARNING " in line for line in errors.splitlines()), errors


def test_the_seed_decides_which_connections_are_hit(tmp_path, wire):
    def hit(folder: str, *arguments: str) -> list[bool]:
        (tmp_path / folder).mkdir()
        with wire.running("uvloop", tmp_path / folder, *arguments) as server, Client(server.url, timeout=20) as client:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                listener.settimeout(20)
                upstream = f"127.0.0.1:{listener.getsockname()[1]}"
                proxy = client.create("p", listen="127.0.0.1:0", upstream=upstream)
                client.add_toxic("p", Toxic(name="t", type="timeout", toxicity=0.5))
                host, _, port = proxy.listen.rpartition(":")
                found = []
                for _ in range(30):
                    with socket.create_connection((host, int(port)), 20) as near:
                        far, _ = listener.accept()
                        far.sendall(b"x")
                        far.close()
                        found.append(near.recv(1) == b"")
                return found

    first, again, other = hit("a", "--seed", "1"), hit("b", "--seed", "1"), hit("c", "--seed", "2")
    assert first == again
    assert first != other


@pytest.mark.needs("ordinary-user")
def test_as_an_ordinary_user(ordinary, tmp_path, begin):
    argv = [*ordinary, "-m", "chaoskit.toxiproxy.server", "--host", "127.0.0.1", "--port", "0"]
    process = begin(argv, stdout=subprocess.PIPE, text=True, cwd="/", env={**os.environ})
    assert process.stdout is not None
    port = int(process.stdout.readline().rpartition(":")[2])
    with Client(f"http://127.0.0.1:{port}", timeout=20) as client:
        proxy = client.create("p", listen="127.0.0.1:0", upstream="127.0.0.1:9")
        client.add_toxic("p", Toxic(name="t", type="latency", attributes={"latency": 1}))
        assert client.get("p").listen == proxy.listen
    process.terminate()
    assert process.wait(20) == 0
    process.stdout.close()
