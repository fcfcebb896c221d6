"""How long the end of a connection takes to get through: said on this side, and waited for on the same side."""

from __future__ import annotations

import asyncio
import time

from chaoskit.probes.canary import failure
from chaoskit.probes.model import ProbeResult

__all__ = ["closing"]


async def closing(host: str, port: int, *, timeout: float) -> ProbeResult:
    """Connect, say that nothing more will be sent, and wait for the end of the other side.

    Toxiproxy has no half-open connections: an end that has come through in one direction closes the other side, and
    that end comes back in the other direction. So this shows on any protocol, and without the server's help, how long
    ends are held on both ways together. `took` is that time; nothing is asked, and what a server says first is not
    looked at.

    Args:
        timeout: seconds for everything together.
    """
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(host, port)
            start = time.perf_counter()
            writer.write_eof()
            while await reader.read(1 << 16):
                pass
            return ProbeResult(kind="closed", took=time.perf_counter() - start)
    except TimeoutError:
        detail = "connect hung" if writer is None else f"no end in {timeout:g} s"
        return ProbeResult(kind="silent", detail=detail)
    except OSError as error:
        return failure(error, writer is None)
    finally:
        if writer is not None:
            writer.transport.abort()
