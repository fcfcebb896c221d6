"""A link shop for the worker's tests, run as a process: POST /links, GET /<code>. Prints its port.

Arguments: how many reads of each link are answered 503 first, and seconds before each answer.
"""

from __future__ import annotations

import asyncio
import json
import sys

links: dict[str, str] = {}
failing: dict[str, int] = {}
ANSWER = "HTTP/1.1 {} X\r\nContent-Length: {}\r\n{}\r\n"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            method, path, _ = head.split("\r\n")[0].split()
            length = next((int(x[15:]) for x in head.lower().split("\r\n") if x.startswith("content-length:")), 0)
            body = await reader.readexactly(length)
            status, extra, answer = 404, "", b""
            if method == "POST":
                code = f"c{len(links)}"
                links[code] = json.loads(body)["url"]
                status, answer = 201, json.dumps({"code": code}).encode()
            elif path[1:] in links:
                code = path[1:]
                failing[code] = failing.get(code, int(sys.argv[1])) - 1
                status, extra = (503, "") if failing[code] >= 0 else (302, f"Location: {links[code]}\r\n")
            await asyncio.sleep(float(sys.argv[2]))
            writer.write(ANSWER.format(status, len(answer), extra).encode() + answer)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
