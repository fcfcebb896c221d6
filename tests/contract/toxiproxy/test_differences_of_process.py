"""Where the embedded server differs on purpose as a process: how it starts, what it says, what it counts."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from chaoskit.runtimes.real_toxiproxy import server_argv
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


def refusal(kind, folder, *flags) -> tuple[int | None, str]:
    """Exit code and output of a server that cannot start; None = it goes on as if it could."""
    if kind == "real":
        argv, patience = [server_argv("127.0.0.1", 0)[0], *flags], 1.0
    else:
        argv, patience = [sys.executable, "-m", "chaoskit", "toxiproxy", *flags], 30.0
    with (folder / "out").open("w+") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT)
        try:
            code = process.wait(patience)
        except subprocess.TimeoutExpired:
            code = None
            process.terminate()
            process.wait(20)
        out.seek(0)
        return code, out.read()


@pytest.mark.differs(
    "A control address that cannot be had",
    original="a line in its log; the process stays and serves nothing",
    embedded="a sentence, exit code 4",
    why="who started it must learn of it",
)
def test_a_control_port_that_is_taken(tmp_path, own_kind, expected):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, said = refusal(own_kind, tmp_path, "-host", "127.0.0.1", "-port", port)
    assert "address already in use" in said
    assert code == expected(original=None, embedded=4)


@pytest.mark.differs(
    "A `-config` that cannot be read, is wrong, or asks for a taken port",
    original="a line in its log; it serves without the proxies",
    embedded="a sentence, exit code 4",
    why="a test without its proxies is green for no reason",
)
@pytest.mark.parametrize("content", [None, '[{"name": "p"}]'])
def test_a_configuration_that_is_wrong(tmp_path, own_kind, expected, content):
    file = tmp_path / "config.json"
    if content is not None:
        file.write_text(content)
    code, said = refusal(own_kind, tmp_path, "-host", "127.0.0.1", "-port", "0", "-config", str(file))
    assert "config.json" in said or "populate" in said
    assert code == expected(original=None, embedded=4)


@pytest.mark.differs(
    "A word on the command line that is no flag",
    original="reading stops there: flags after it are without effect",
    embedded="a sentence, exit code 2",
    why="`-proxy-metrics true -port 9000` looks right and is not",
)
def test_stray_words(tmp_path, own_kind, expected):
    code, _ = refusal(own_kind, tmp_path, "stray", "-version")
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
