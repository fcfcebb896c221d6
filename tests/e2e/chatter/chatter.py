"""One node: `python chatter.py NAME HOST`, or `python chatter.py NAME - PEER` for a client, which only dials.

It dials every peer and sends lines, numbered from 0 on each connection; whoever is dialled sends such lines back on it.
All that arrives is written down as `instant(ns) link way number`: the link is named after the one who dialled, and the
way is `up` for what that one sent, `down` for what it was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time

PORT = 7000
EVERY = 0.1  # seconds between two lines


async def tell(writer: asyncio.StreamWriter) -> None:
    number = 0
    while True:
        writer.write(f"{number}\n".encode())
        await writer.drain()
        number += 1
        await asyncio.sleep(EVERY)


async def hear(reader: asyncio.StreamReader, link: str, way: str) -> None:
    while line := await reader.readline():
        sys.stdout.write(f"{time.monotonic_ns()} {link} {way} {int(line)}\n")
        sys.stdout.flush()
    raise ConnectionError("the other end is closed")


async def both(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: str, way: str) -> None:
    """Talk and listen until the connection is gone."""
    with contextlib.suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(tell(writer))
            group.create_task(hear(reader, link, way))
    writer.close()


async def dial(me: str, peer: str) -> None:
    host, _, port = peer.partition(":")
    while True:
        with contextlib.suppress(OSError, TimeoutError):
            # A connect into a silent cut hangs; the next one, after it has healed, does not.
            reader, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 1.0)
            writer.write(f"{me}\n".encode())
            await both(reader, writer, f"{me}->{host}:{port}", "down")
        await asyncio.sleep(EVERY)


async def main(me: str, host: str, *peers: str) -> None:
    async def dialled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            if who := (await reader.readline()).decode().strip():  # nothing: a probe, whether anybody listens
                await both(reader, writer, f"{who}->{me}:{PORT}", "up")
        writer.close()

    if host != "-":
        await asyncio.start_server(dialled, host, PORT)
    peers = peers or tuple(os.environ["PEERS"].split())
    await asyncio.gather(*(dial(me, peer) for peer in peers if not peer.startswith(f"{me}:")))


asyncio.run(main(*sys.argv[1:]))
