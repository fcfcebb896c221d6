"""Start the API: `python -m app --host 127.0.0.1 --port 8000`."""

import argparse
import os

import uvicorn

from app.settings import Settings
from app.web import make_app


def main() -> None:
    """Read the command line and the environment, then serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="app")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    try:
        settings = Settings.from_environment(os.environ)
    except ValueError as error:
        parser.exit(2, f"app: {error}\n")
    uvicorn.run(
        make_app(settings),
        host=arguments.host,
        port=arguments.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="info",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    main()
