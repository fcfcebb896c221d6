"""Where the embedded server differs on purpose as a process: how it starts, what it says, what it counts."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from chaoskit.runtimes.real_toxiproxy import find_server, server_argv
from chaoskit.toxiproxy.client import Client


@pytest.mark.differs(
    "The bytes at /metrics",
    original="added when a connection ends: a pool of connections shows 0",
    embedded="counted as they pass",
    why="a link is bent while its connections are open",
)
def test_when_bytes_are_counted(tmp_path, wire, own_kind, expected):
    with wire.running(own_kind, tmp_path, "-proxy-metrics") as server, Client(server.url, timeout=20) as client:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(20)
            made = client.create("p", listen="127.0.0.1:0", upstream=f"127.0.0.1:{listener.getsockname()[1]}")
            host, _, port = made.listen.rpartition(":")
            with socket.create_connection((host, int(port)), 20) as near, listener.accept()[0] as far:
                near.sendall(b"x" * 100)
                assert wire.receive(far, 100)
                labels = f'direction="upstream",listener="{made.listen}",proxy="p",upstream="{made.upstream}"'
                line = f"toxiproxy_proxy_sent_bytes_total{{{labels}}} 100\n"
                assert (line in client.metrics()) is expected(original=False, embedded=True)
            wire.until(lambda: line in client.metrics())


@pytest.mark.differs(
    "`-runtime-metrics`",
    original="figures of the process and of Go's runtime",
    embedded="the same of the process, and of Python",
    why="there is no Go in it",
)
def test_figures_of_the_runtime(tmp_path, wire, own_kind, expected):
    with wire.running(own_kind, tmp_path, "-runtime-metrics") as server, Client(server.url, timeout=20) as client:
        text = client.metrics()
    names = {line.split("{")[0].split()[0] for line in text.splitlines() if not line.startswith("#")}
    assert {name for name in names if name.startswith("process_")} == {
        "process_cpu_seconds_total",
        "process_max_fds",
        "process_network_receive_bytes_total",
        "process_network_transmit_bytes_total",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
        "process_virtual_memory_bytes",
        "process_virtual_memory_max_bytes",
    }
    assert ("go_goroutines" in names, "python_info" in names) == expected(
        original=(True, False), embedded=(False, True)
    )


@pytest.fixture
def refusal(own_kind, tmp_path, wire):
    """Exit code and output of a server that cannot start; None = it says so and goes on as if it could."""

    def refusal(*flags: str, says: str) -> tuple[int | None, str]:
        argv = [sys.executable, "-m", "chaoskit", "toxiproxy"] if own_kind != "real" else [find_server()]
        out = tmp_path / "out"
        with out.open("w") as file:
            process = subprocess.Popen([*argv, *flags], stdout=file, stderr=subprocess.STDOUT)
        wire.until(lambda: process.poll() is not None or says in out.read_text())
        try:
            code = process.wait(0.5 if own_kind == "real" else wire.patience)
        except subprocess.TimeoutExpired:
            code = None
            process.terminate()
            process.wait(wire.patience)
        return code, out.read_text()

    return refusal


@pytest.mark.differs(
    "A control address that cannot be had",
    original="a line in its log; the process stays and serves nothing",
    embedded="a sentence, exit code 4",
    why="who started it must learn of it",
)
def test_a_control_port_that_is_taken(refusal, own_kind, expected):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, said = refusal("-host", "127.0.0.1", "-port", port, says="address already in use")
    assert "address already in use" in said
    assert code == expected(original=None, embedded=4)


@pytest.mark.differs(
    "A `-config` that cannot be read, is wrong, or asks for a taken port",
    original="a line in its log; it serves without the proxies",
    embedded="a sentence, exit code 4",
    why="a test without its proxies is green for no reason",
)
@pytest.mark.parametrize("content", [None, '[{"name": "p"}]'])
def test_a_configuration_that_is_wrong(refusal, tmp_path, own_kind, expected, content):
    file = tmp_path / "config.json"
    if content is not None:
        file.write_text(content)
    why = "required field: upstream" if content else "o such file"
    code, said = refusal("-host", "127.0.0.1", "-port", "0", "-config", str(file), says=why)
    assert why in said
    assert code == expected(original=None, embedded=4)


@pytest.mark.differs(
    "A word on the command line that is no flag",
    original="reading stops there: flags after it are without effect",
    embedded="a sentence, exit code 2",
    why="`-proxy-metrics true -port 9000` looks right and is not",
)
def test_stray_words(refusal, own_kind, expected):
    code, _ = refusal("stray", "-version", says="Starting Toxiproxy HTTP server")
    assert code == expected(original=None, embedded=2)


@pytest.mark.differs(
    "Log",
    original="every request and connection, as JSON lines on stdout",
    embedded="one line when it is ready, warnings on stderr; JSON lines as the original's with LOG_LEVEL",
    why="a server whose output nobody reads must not stop when the pipe is full",
)
def test_what_it_logs(tmp_path, own_kind, expected):
    argv = list(server_argv("127.0.0.1", 0))
    if own_kind != "real":
        argv = [sys.executable, "-m", "chaoskit", "toxiproxy", *argv[1:]]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    assert first.startswith('{"level":') is expected(original=True, embedded=False)
    process.terminate()
    rest, _ = process.communicate(timeout=20)
    assert own_kind == "real" or rest == ""
