"""`python -m chaoskit.toxiproxy.server`: the embedded Toxiproxy as a process of its own."""

from __future__ import annotations

import argparse
import sys

from chaoskit.errors import ChaosKitError
from chaoskit.toxiproxy.server.process import Options, run

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m chaoskit.toxiproxy.server",
        description="A Toxiproxy with the REST API of the original. It prints its control address when it is ready.",
    )
    parser.add_argument("--host", default="localhost", help="address of the REST API (default: localhost)")
    parser.add_argument("--port", type=int, default=8474, help="port of the REST API, 0 = any free one (default: 8474)")
    parser.add_argument("--lag-file", help="append the proxy's own lag and CPU share here, a JSON line every 100 ms")
    parser.add_argument("--seed", type=int, help="of toxicity and jitter, so that a run can be repeated")
    parser.add_argument("--loop", choices=("auto", "uvloop", "asyncio"), default="auto", help="event loop")
    parsed = parser.parse_args(arguments)
    try:
        run(Options(parsed.host, parsed.port, parsed.lag_file, parsed.seed, parsed.loop))
    except ChaosKitError as error:
        print(f"toxiproxy: {error}", file=sys.stderr)  # noqa: T201
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
