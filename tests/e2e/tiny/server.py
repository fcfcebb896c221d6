"""PUT and GET of /k/<key>, kept in Valkey. Standard library only; it can be told to misbehave."""

from __future__ import annotations

import asyncio
import os
import sys
from urllib.parse import urlsplit

CACHE = urlsplit(os.environ["CACHE_URL"])
FAIL_EVERY = int(os.environ["FAIL_EVERY"])  # every n-th answer is a 500
DIE_AFTER = float(os.environ["DIE_AFTER"])  # seconds until the process exits by itself
served = 0


def resp(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


async def ask(*words: bytes) -> bytes | None:
    """One command on a connection of its own."""
    reader, writer = await asyncio.open_connection(CACHE.hostname, CACHE.port)
    try:
        writer.write(resp(*words))
        head = (await reader.readuntil(b"\r\n"))[:-2]
        if head[:1] == b"$" and head != b"$-1":
            return (await reader.readexactly(int(head[1:]) + 2))[:-2]
        if head[:1] == b"-":
            raise OSError(head.decode())
        return None
    finally:
        writer.close()


async def handle(method: str, path: str, body: bytes) -> tuple[int, bytes]:
    global served
    if path == "/healthz":
        return 200, b"ok"
    served += 1
    if FAIL_EVERY and served % FAIL_EVERY == 0:
        return 500, b"as told"
    key = path.removeprefix("/k/").encode()
    try:
        async with asyncio.timeout(0.5):
            if method == "PUT":
                await ask(b"SET", key, body)
                return 201, b""
            found = await ask(b"GET", key)
            return (404, b"") if found is None else (200, found)
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return 503, b"no cache"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _ = head[0].split(" ")
            length = next((int(line.split(":")[1]) for line in head if line.lower().startswith("content-length")), 0)
            status, answer = await handle(method, path, await reader.readexactly(length))
            writer.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s" % (status, len(answer), answer))
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main() -> None:
    if os.environ["START"] != "yes":
        sys.exit("told not to start: no such luck")
    server = await asyncio.start_server(serve, sys.argv[1], int(sys.argv[2]))
    if DIE_AFTER:
        asyncio.get_running_loop().call_later(DIE_AFTER, os._exit, 7)
    await server.serve_forever()


asyncio.run(main())
