"""The command line of the original, on both servers: flags, configuration file, /metrics, version, log."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import subprocess
import sys

import pytest

from chaoskit.runtimes.real_toxiproxy import server_argv
from chaoskit.toxiproxy.client import Client


def get(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), {key.lower(): value for key, value in answer.getheaders()}
    finally:
        connection.close()


def program(kind) -> list[str]:
    return [server_argv("127.0.0.1", 0)[0]] if kind == "real" else [sys.executable, "-m", "chaoskit.toxiproxy.server"]


def test_version(own_kind):
    done = subprocess.run(
        [*program(own_kind), "-port", "1", "--version=true"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "toxiproxy-server version 2.12.0\n", "")


def test_mistakes(own_kind):
    done = subprocess.run([*program(own_kind), "-nope"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert "flag provided but not defined: -nope" in done.stderr


def test_help(own_kind):
    done = subprocess.run([*program(own_kind), "-help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    for flag in ("config", "host", "port", "proxy-metrics", "runtime-metrics", "seed", "version"):
        assert re.search(rf"^  -{flag}\b", done.stdout + done.stderr, re.MULTILINE)


def test_a_configuration_makes_proxies_before_the_first_request(own_kind, tmp_path, wire):
    file = tmp_path / "proxies.json"
    entries = [
        {"name": "a", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"},
        {"name": "b", "listen": "127.0.0.1:7", "upstream": "x:1", "enabled": False},
    ]
    file.write_text(json.dumps(entries))
    with wire.running(own_kind, tmp_path, f"-config={file}") as server, Client(server.url, timeout=20) as client:
        found = client.proxies()
        assert {name: proxy.enabled for name, proxy in found.items()} == {"a": True, "b": False}
        host, _, port = found["a"].listen.rpartition(":")
        socket.create_connection((host, int(port)), 20).close()


def test_metrics_are_there_when_they_are_asked_for(own_kind, tmp_path, wire):
    with wire.running(own_kind, tmp_path, "--proxy-metrics=true") as server, Client(server.url, timeout=20) as client:
        status, _, headers = get(server, "/metrics")
        assert status == 200
        assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
        assert re.fullmatch(r"[0-9a-v]{20}", headers["x-toxiproxy-request-id"])
        assert get(server, "/metrics", "POST")[0] == get(server, "/metrics", "PUT")[0] == 200
        assert get(server, "/metrics", "HEAD")[:2] == (200, "")
        assert get(server, "/metrics", **{"User-Agent": "Mozilla/5.0"})[0] == 403
        with socket.create_server(("127.0.0.1", 0)) as listener:
            made = client.create("p", listen="127.0.0.1:0", upstream=f"127.0.0.1:{listener.getsockname()[1]}")
            host, _, port = made.listen.rpartition(":")
            near = socket.create_connection((host, int(port)), 20)
            far, _ = listener.accept()
            near.sendall(b"x" * 3000)
            assert wire.receive(far, 3000)
            far.sendall(b"y" * 70)
            assert wire.receive(near, 70)
            near.close()
            far.close()

        def line(what, direction, value):
            labels = f'direction="{direction}",listener="{made.listen}",proxy="p",upstream="{made.upstream}"'
            return f"toxiproxy_proxy_{what}_bytes_total{{{labels}}} {value}\n"

        wanted = [line(what, "upstream", 3000) for what in ("received", "sent")]
        wanted += [line(what, "downstream", 70) for what in ("received", "sent")]
        wire.until(lambda: all(one in client.metrics() for one in wanted))
        assert "# TYPE toxiproxy_proxy_received_bytes_total counter\n" in client.metrics()
        client.delete("p")
        assert all(one in client.metrics() for one in wanted), "a counter never falls"


def test_without_the_flags_there_are_no_metrics(own_server):
    assert get(own_server, "/metrics")[:2] == (404, "404 page not found\n")
    with Client(own_server.url, timeout=20) as client:
        assert client.metrics() == ""


@pytest.mark.parametrize(("level", "messages"), [("info", True), ("debug", True), ("error", False)])
def test_the_log_is_json_lines_of_the_level_asked_for(own_kind, level, messages, wire):
    host, port = address = wire.own_address()
    process = subprocess.Popen(
        [*program(own_kind), "-host", host, "-port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "LOG_LEVEL": level},
    )
    try:
        wire.until(lambda: wire.listens(address))
        with Client(f"http://{host}:{port}", timeout=20) as client:
            client.version()
    finally:
        process.terminate()
        said, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    lines = [json.loads(line) for line in said.splitlines()]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line["time"]) for line in lines)
    found = [line["message"] for line in lines if line["level"] == "info"]
    wanted = ["Starting Toxiproxy", "Starting Toxiproxy HTTP server", "Shutdown started"]
    assert found == (wanted if messages else [])
    requests = [(line["method"], line["url"], line["status"]) for line in lines if line["level"] == "debug"]
    assert requests == ([("GET", "/version", 200)] if level == "debug" else [])


def test_a_log_that_nobody_reads_stops_nothing(wire):
    argv = [*program("embedded"), "-host", "127.0.0.1", "-port", "0"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env={**os.environ, "LOG_LEVEL": "trace"})
    process.stdout.readline()
    port = int(json.loads(process.stdout.readline())["address"].rpartition(":")[2])
    with Client(f"http://127.0.0.1:{port}", timeout=20) as client:
        for _ in range(450):  # more than a pipe holds
            client.version()
    process.terminate()
    assert process.wait(20) == 0
    process.stdout.close()
