"""A store that says hello, and an API that asks it: over its link, or around it. Standard library only.

DIAL: `link` = one connection to STORE_URL, kept; `registry` = one to the address in the file REGISTRY, kept;
`both` = questions over the link, and after each a connection of five milliseconds to that address.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

ANSWER = b"HTTP/1.1 %d x\r\nContent-Length: 5\r\n\r\nhello"
QUESTION = b"GET / HTTP/1.1\r\nHost: store\r\n\r\n"


class Store:
    """What the API knows of the store."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> None:
        async with self.lock, asyncio.timeout(1.0):
            try:
                if self.open is None:
                    self.open = await asyncio.open_connection(*self.address())
                self.open[1].write(QUESTION)
                await self.open[0].readexactly(len(ANSWER % 200))
            except BaseException:
                self.hang_up()
                raise

    def address(self) -> tuple[str, int]:
        if os.environ["DIAL"] in ("link", "both"):
            url = urlsplit(os.environ["STORE_URL"])
            return str(url.hostname), int(url.port or 0)
        return self.registered()

    def registered(self) -> tuple[str, int]:
        host, port = Path(os.environ["REGISTRY"]).read_text().split()
        return host, int(port)

    async def call_in(self) -> None:
        _, writer = await asyncio.open_connection(*self.registered())
        await asyncio.sleep(0.005)
        writer.close()

    def hang_up(self) -> None:
        if self.open is not None:
            self.open[1].close()
            self.open = None


async def main(role: str, host: str, port: int) -> None:
    if role == "store" and os.environ["REGISTRY"]:
        Path(os.environ["REGISTRY"]).write_text(f"{host} {port}")
    store = Store()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                status = 200
                if role == "api" and not head.startswith(b"GET /healthz"):
                    try:
                        await store.ask()
                        if os.environ["DIAL"] == "both":
                            await store.call_in()
                    except (OSError, TimeoutError, asyncio.IncompleteReadError):
                        status = 503
                writer.write(ANSWER % status)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, host, port)
    await server.serve_forever()


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
