"""A stand-in for a Toxiproxy that lies: its API takes everything and reads it back as asked, and every byte passes.

Takes the original's flags: -host, -port.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

proxies: dict[str, dict[str, Any]] = {}


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def add(proxy: dict[str, Any]) -> dict[str, Any]:
    """Listen for it, and pass everything on."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            host, _, port = proxy["upstream"].rpartition(":")
            there, back = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, back), pump(there, writer))

    host, _, port = proxy["listen"].rpartition(":")
    await asyncio.start_server(accept, host, int(port))
    proxies[proxy["name"]] = {"enabled": True, "toxics": [], **proxy}
    return proxies[proxy["name"]]


async def answer(method: str, path: list[str], body: Any) -> tuple[int, Any]:
    match method, path:
        case "GET", ["version"]:
            return 200, {"version": "2.12.0"}
        case "GET", ["proxies"]:
            return 200, proxies
        case "POST", ["populate"]:
            return 201, {"proxies": [await add(proxy) for proxy in body]}
        case "POST", ["reset"]:
            for proxy in proxies.values():
                proxy.update(enabled=True, toxics=[])
            return 204, None
        case "GET", ["proxies", name]:
            return 200, proxies[name]
        case "POST" | "PATCH", ["proxies", name]:
            proxies[name].update(body)
            return 200, proxies[name]
        case "POST", ["proxies", name, "toxics"]:
            proxies[name]["toxics"].append(body)
            return 200, body
        case _, ["proxies", name, "toxics", toxic]:
            kept = [one for one in proxies[name]["toxics"] if one["name"] != toxic]
            found = next(one for one in proxies[name]["toxics"] if one["name"] == toxic)
            if method == "DELETE":
                proxies[name]["toxics"] = kept
                return 204, None
            found.update(body or {})
            return 200, found
    return 404, {"error": "proxy not found", "status": 404}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    from urllib.parse import unquote

    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _ = head[0].split(" ")
            length = next((int(line.split(":")[1]) for line in head if line.lower().startswith("content-length")), 0)
            body = await reader.readexactly(length)
            parts = [unquote(part) for part in path.strip("/").split("/")]
            status, found = await answer(method, parts, json.loads(body) if body else None)
            text = b"" if found is None else json.dumps(found).encode()
            writer.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s" % (status, len(text), text))
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main() -> None:
    given = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    server = await asyncio.start_server(serve, given["-host"], int(given["-port"]))
    await server.serve_forever()


asyncio.run(main())
