"""Nonsense at the control port, seeded: answered or dropped, and neither the server nor other links notice.

CHAOSKIT_FUZZ_SECONDS=300 makes it longer; CHAOSKIT_FUZZ_SEED=n repeats the choices of a run.
"""

from __future__ import annotations

import json
import os
import random
import re
import socket
import string
import struct
import time
from collections import deque
from pathlib import Path

import pytest

from chaoskit.toxiproxy.client import Client

SECONDS = float(os.environ.get("CHAOSKIT_FUZZ_SECONDS", "4"))
SEED = int(os.environ.get("CHAOSKIT_FUZZ_SEED") or random.SystemRandom().getrandbits(32))
RESET = struct.pack("ii", 1, 0)
STATUS = re.compile(rb"HTTP/1\.1 (100|200|201|204|301|400|403|404|405|409|413|431|500) [A-Z]")
HELD = 150  # connections that are left half done at any time: more than the server keeps

PATHS = ["/proxies", "/proxies/p", "/proxies/q", "/proxies/p/toxics", "/proxies/p/toxics/t", "/populate", "/reset"]
PATHS += [
    "/version",
    "/metrics",
    "/chaoskit/counters",
    "/",
    "//",
    "/proxies/%2e%2e/p",
    "/proxies/%zz",
    "/proxies/" + "n" * 5000,
]
METHODS = ["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS"]
KEYS = ["name", "NAME", "listen", "upstream", "enabled", "type", "stream", "toxicity", "attributes", "latency", "rate"]
KEYS += ["jitter", "timeout", "bytes", "average_size", "size_variation", "delay", "toxics", "\ud800", ""]
# Addresses that are answered without a look at DNS, and never those of other machines.
WORDS = [
    "p",
    "q",
    "t",
    "latency",
    "slicer",
    "bandwidth",
    "timeout",
    "noop",
    "upstream",
    "UPSTREAM",
    "127.0.0.1:0",
    "[::1]:0",
]
WORDS += ["127.0.0.1:99999", "127.0.0.1:x", "[", "\x00", "é\u2028<&>", "x" * 2000, "../..", "\ud800"]


class Fuzzer:
    """Attacks on one server, drawn from one seed."""

    def __init__(self, address: tuple[str, int], seed: int, patience: float) -> None:
        self.address = address
        self.patience = patience
        self.random = random.Random(seed)
        self.held: deque[socket.socket] = deque()
        self.attacks = [self.json, self.mutated, self.noise, self.half_open, self.deaf, self.reset]

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, self.patience)

    def exchange(self, data: bytes) -> bytes:
        """Send all of it, say so, read to the end: the server answers or closes, it never just waits."""
        with self.connect() as sock:
            found = b""
            try:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                while more := sock.recv(1 << 16):
                    found += more
            except (ConnectionResetError, BrokenPipeError):
                pass  # it had enough before all was sent
        assert not found or STATUS.match(found), found[:200]
        return found

    def request(self, body: bytes) -> bytes:
        method, path = self.random.choice(METHODS), self.random.choice(PATHS)
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    def value(self, depth: int = 0):
        """Any JSON, mostly of the words that the API knows."""
        kind = self.random.randrange(9 if depth < 4 else 7)
        if kind <= 2:
            return self.random.choice(WORDS)
        if kind == 3:
            return self.random.choice([0, 1, -1, 2**31, 2**63, -(2**63), 10**30, 1.5, 1e300, -0.0])
        if kind <= 6:
            return self.random.choice([True, False, None])
        if kind == 7:
            return [self.value(depth + 1) for _ in range(self.random.randrange(4))]
        return {self.random.choice(KEYS): self.value(depth + 1) for _ in range(self.random.randrange(6))}

    def sensible(self):
        """Something that the API may well accept. Never the empty address: that would be every interface."""
        proxy = {"name": self.random.choice("pq"), "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"}
        toxic = {
            "name": "t",
            "type": self.random.choice(["latency", "slicer", "bandwidth", "timeout", "limit_data", "reset_peer"]),
            "toxicity": self.random.random(),
            "attributes": {self.random.choice(KEYS): self.random.randrange(-5, 99)},
        }
        return self.random.choice([proxy, toxic, [proxy], [proxy, proxy]])

    def json(self) -> None:
        value = self.random.choice([self.value, self.sensible])()
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, dict) and "listen" not in entry:
                entry["enabled"] = False
        self.exchange(self.request(json.dumps(value).encode("utf-8", "surrogatepass")))

    def mutated(self) -> None:
        body = json.dumps({"name": "p", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "enabled": False})
        data = bytearray(self.request(body.encode()) * self.random.choice([1, 1, 3]))
        for _ in range(self.random.randrange(1, 6)):
            at = self.random.randrange(len(data))
            match self.random.randrange(4):
                case 0:
                    data[at] = self.random.randrange(256)
                case 1:
                    del data[at : at + self.random.randrange(1, 20)]
                case 2:
                    data[at:at] = self.random.randbytes(self.random.randrange(1, 20))
                case _:
                    data[at:at] = data[at : at + self.random.randrange(1, 200)]
        self.exchange(bytes(data))

    def noise(self) -> None:
        if self.random.random() < 0.5:
            self.exchange(self.random.randbytes(self.random.randrange(1, 5000)))
        else:
            self.exchange("".join(self.random.choices(string.printable, k=300)).encode() + b"\r\n\r\n")

    def half_open(self) -> None:
        """Part of a request, and then nothing."""
        data = self.request(b'{"name": "p"}')
        self.hold(data[: self.random.randrange(len(data))])

    def deaf(self) -> None:
        """Many requests, and no answer is read."""
        self.hold(b"GET /proxies HTTP/1.1\r\nHost: localhost\r\n\r\n" * self.random.randrange(1, 400))

    def hold(self, data: bytes) -> None:
        sock = self.connect()
        sock.setblocking(False)
        try:
            sock.send(data) if data else None
        except OSError:
            pass
        self.held.append(sock)
        while len(self.held) > HELD:
            self.held.popleft().close()

    def reset(self) -> None:
        """Gone in the middle, with a reset."""
        data = self.request(b'{"name": "p", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"}')
        with self.connect() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            try:
                sock.sendall(data[: self.random.randrange(len(data) + 1)])
            except OSError:
                pass

    def let_go(self) -> None:
        while self.held:
            self.held.pop().close()


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def resident(pid: int) -> int:
    """Megabytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1_000_000


def processor_time(pid: int) -> float:
    found = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(found[11]) + int(found[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("kind", ["uvloop", "asyncio"])
def test_fuzz(kind, tmp_path, wire):
    print(f"CHAOSKIT_FUZZ_SEED={SEED}")
    with wire.running(kind, tmp_path, "-proxy-metrics") as server, Client(server.url, timeout=wire.patience) as client:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(wire.patience)
            upstream = f"127.0.0.1:{listener.getsockname()[1]}"
            host, _, port = client.create("other link", listen="127.0.0.1:0", upstream=upstream).listen.rpartition(":")
            fuzzer = Fuzzer((server.host, server.port), SEED, wire.patience)
            pid, done, end = server.process.pid, 0, time.monotonic() + SECONDS
            before = descriptors(pid), resident(pid)
            try:
                while time.monotonic() < end:
                    fuzzer.random.choice(fuzzer.attacks)()
                    done += 1
                    if done % 50 == 0:
                        assert client.version() == "2.12.0"
                        with (
                            socket.create_connection((host, int(port)), wire.patience) as near,
                            listener.accept()[0] as far,
                        ):
                            near.sendall(b"x")
                            assert wire.receive(far, 1) == b"x"
                assert done >= 50
                assert server.process.poll() is None
                fuzzer.let_go()
                for name in set(client.proxies()) - {"other link"}:
                    client.delete(name)
                wire.until(lambda: descriptors(pid) <= before[0] + 1)  # the client's own connection may be a new one
                assert resident(pid) - before[1] < 100
                used = processor_time(pid)
                time.sleep(0.5)
                assert processor_time(pid) - used < 0.3, "something still turns"
            except BaseException as error:
                error.add_note(f"CHAOSKIT_FUZZ_SEED={SEED} makes the same choices again")
                raise
            finally:
                fuzzer.let_go()
