"""Make the original Toxiproxy from source: server and client, for the contract tests and for `--toxiproxy real`.

    python3 tools/toxiproxy.py [--cli]

Prints the path of `toxiproxy-server` (with --cli: of `toxiproxy-cli`). Both are built once per user, from the Go module
github.com/Shopify/toxiproxy/v2, and kept below ~/.cache/chaoskit. What builds them, first that will do: the Go on the
PATH, in /usr/local/go, or of one of Debian's golang packages; the Go module golang.org/toolchain, which is kept beside
what it built (Debian 12 has only Go 1.19, and so ends here). Neither root nor a container is needed.

The toolchain's content is compared with its sum in Go's checksum database; the sums of what is built from it are
checked by Go itself. A half-made folder is never taken for a made one.

Exit codes: 0 made (or there already), 4 the environment lacks something (said in a sentence), 130 interrupted.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs without anything being installed

from chaoskit.errors import EnvironmentFault
from chaoskit.runtimes.cache import locked
from chaoskit.runtimes.real_toxiproxy import VERSION, made_folder

__all__ = ["content_sum", "go_versions", "main", "make", "proxies"]

MODULE = "github.com/Shopify/toxiproxy/v2"
PROGRAMS = {"toxiproxy-server": "server", "toxiproxy-cli": "cli"}  # our name -> the module's folder below cmd/
OLDEST_GO = (1, 21)  # the module wants 1.23, which every Go from 1.21 on fetches by itself
GO = "1.26.8"  # the toolchain for where there is none, with its sums from the checksum database (sum.golang.org)
SUMS = {
    "amd64": "h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=",
    "arm64": "h1:sYL/O6MqS68ML0kjsQ36WoYIpJqkw60TxizWUYUKQMc=",
}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PUBLIC_PROXY = "https://proxy.golang.org"


def main(argv: list[str] | None = None) -> int:
    """Parse, make, print the path; returns the exit code."""
    parser = argparse.ArgumentParser(description=f"Make Toxiproxy {VERSION} from source and print where it is.")
    parser.add_argument("--cli", action="store_true", help="print the path of toxiproxy-cli, not of the server")
    wanted = "toxiproxy-cli" if parser.parse_args(argv).cli else "toxiproxy-server"
    try:
        print(make() / wanted)
    except EnvironmentFault as error:
        print(error, file=sys.stderr)
        return 4
    except OSError as error:
        print(f"Toxiproxy cannot be made: {error}\n  next: see to space and permissions", file=sys.stderr)
        return 4
    except KeyboardInterrupt:
        print("\ninterrupted; run it again", file=sys.stderr)
        return 130
    return 0


def make() -> Path:
    """The folder with both programs, made if need be.

    Raises:
        EnvironmentFault: no Go is to be had, or it cannot build them; with the last words of the failed command.
    """
    folder = made_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.parent / f"{VERSION}.lock"):
        if all(os.access(folder / name, os.X_OK) for name in PROGRAMS):
            return folder
        for stale in (*folder.parent.glob("build-*"), *folder.parent.glob("go-*")):  # of one that was killed
            shutil.rmtree(stale, ignore_errors=True)
        go = _find_go() or _toolchain(folder.parent)
        say(f"building Toxiproxy {VERSION} with {go}")
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="build-") as scratch:
            _build(go, Path(scratch))
            shutil.rmtree(folder, ignore_errors=True)
            (Path(scratch) / "made").rename(folder)  # all or nothing
    return folder


def _build(go: str, scratch: Path) -> None:
    made = scratch / "made"
    made.mkdir()
    environment = {
        "HOME": str(scratch),  # without a home Go has no caches
        **os.environ,
        "CGO_ENABLED": "0",
        "GOBIN": str(scratch),
        "GOCACHE": str(scratch / "cache"),
        "GOPATH": str(scratch / "go"),
        "GOFLAGS": "-modcacherw",  # else its cache could not be deleted
        "GOTOOLCHAIN": "auto",
    }
    for name, folder in PROGRAMS.items():
        flags = f"-s -w -X {MODULE}.Version={VERSION}"
        run([go, "install", "-ldflags", flags, f"{MODULE}/cmd/{folder}@v{VERSION}"], environment)
        (scratch / folder).rename(made / name)


def _find_go() -> str | None:
    """A Go that is there and new enough."""
    places = [shutil.which("go"), "/usr/local/go/bin/go", *sorted(map(str, Path("/usr/lib").glob("go-*/bin/go")))]
    for place in filter(None, places):
        try:
            done = subprocess.run([place, "version"], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if go_versions(done.stdout) >= OLDEST_GO:
            return place
    return None


def go_versions(text: str) -> tuple[int, ...]:
    """(1, 26, 8) of "go version go1.26.8 linux/amd64"; () when it says nothing of the kind."""
    found = re.search(r"\bgo(\d+(?:\.\d+)*)", text)
    return tuple(map(int, found[1].split("."))) if found else ()


def _toolchain(cache: Path) -> str:
    """The path of `go` in the Go module golang.org/toolchain, fetched if need be."""
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None:
        raise EnvironmentFault(
            f"no Go is installed, and none is known for a {platform.machine()}", hint="install Go 1.23 or newer"
        )
    home = cache / f"go{GO}"
    go = home / "bin" / "go"
    if os.access(go, os.X_OK):
        return str(go)
    version = f"v0.0.1-go{GO}.linux-{architecture}"
    archive = fetch(f"golang.org/toolchain/@v/{version}.zip")
    found = content_sum(archive)
    if found != SUMS[architecture]:
        raise EnvironmentFault(
            f"the Go toolchain {version} that came is not the published one: its sum is {found}",
            hint="see who answers for the module proxy (GOPROXY), or install Go 1.23 or newer",
        )
    with tempfile.TemporaryDirectory(dir=cache, prefix="go-") as scratch:
        with zipfile.ZipFile(io.BytesIO(archive)) as whole:
            whole.extractall(scratch)
        root = Path(scratch) / f"golang.org/toolchain@{version}"
        for program in (*root.glob("bin/*"), *root.glob("pkg/tool/*/*")):
            program.chmod(0o755)  # modules are kept without the right to execute
        shutil.rmtree(home, ignore_errors=True)
        root.rename(home)
    return str(go)


def fetch(path: str) -> bytes:
    """A file of a module proxy, from the first one that has it.

    Raises:
        EnvironmentFault: none has; with what each of them said.
    """
    said = []
    for proxy in proxies(os.environ.get("GOPROXY", "")):
        say(f"fetching {proxy}/{path}")
        try:
            with urllib.request.urlopen(f"{proxy}/{path}", timeout=60) as answer:
                found: bytes = answer.read()
                return found
        except (OSError, ValueError) as error:  # URLError is an OSError; ValueError: no URL at all
            said.append(f"{proxy}: {error}")
    raise EnvironmentFault(
        f"no Go is installed, and none can be fetched ({'; '.join(said) or 'GOPROXY names no proxy'})",
        hint="install Go 1.23 or newer, or set GOPROXY to a module proxy that this machine can reach",
    )


def proxies(setting: str) -> Iterator[str]:
    """The URLs in a GOPROXY; the public proxy when it is empty. `direct` and `off` mean no proxy."""
    for entry in re.split(r"[,|]", setting or PUBLIC_PROXY):
        if entry.strip() not in ("", "direct", "off"):
            yield entry.strip().rstrip("/")


def content_sum(archive: bytes) -> str:
    """The sum of a module's zip as in go.sum: SHA-256 over the list of its files' SHA-256 (Hash1 of Go's dirhash)."""
    with zipfile.ZipFile(io.BytesIO(archive)) as whole:
        lines = sorted((name, hashlib.sha256(whole.read(name)).hexdigest()) for name in whole.namelist())
    total = hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in lines).encode())
    return "h1:" + base64.b64encode(total.digest()).decode()


def run(command: list[str], environment: dict[str, str]) -> None:
    """Run a command that shall succeed.

    Raises:
        EnvironmentFault: it did not, with its last lines.
    """
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-5:])
        raise EnvironmentFault(
            f"{' '.join(command)} failed:\n{last}", hint="see whether GOPROXY names a proxy that can be reached"
        )


def say(text: str) -> None:
    """Talk: stdout is for the path."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
