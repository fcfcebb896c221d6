"""The run directory: its paths, its events, and how files get there whole.

    runs/<name>/<utc>-<id>/
      run.json  experiment.yaml  plan.json  environment.json  ledger.jsonl  supervisor.log
      blocks/<variant>[-<trial>]/   of one stack start: data/ (gone after it), logs/, lag.jsonl of the proxy
      cells/<variant>/<trial>/      events.jsonl  spool/  history.parquet  and of each worker: .json .log .counters
      analysis.json  report.html  report.md  report.json

Everything but the append-only files is written to a temporary name and renamed: a reader never sees half a file.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chaoskit.errors import StoreError
from chaoskit.files import SCHEMA_VERSION, replacing

__all__ = ["EventLog", "RunDir", "conceal", "read_jsonl", "redact", "write_atomic"]

_SECRET = re.compile(r"pass(word|wd|phrase)?|secret|token|api_?key|credential|private", re.IGNORECASE)
_SHORTEST_SECRET = 6  # letters; replacing "1" or "app" everywhere would hide more than it protects
_URL_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):([^/@\s]+)@")


def redact(name: str, value: str) -> str:
    """An environment value as it may be kept and shown: secrets by name, and passwords in URLs, are replaced."""
    return "[redacted]" if _SECRET.search(name) else _URL_PASSWORD.sub(r"\1:[redacted]@", value)


def conceal(text: str, environ: Mapping[str, str]) -> str:
    """`text` with the values of secret environment variables replaced by `${NAME}`: it can be kept, and run again where
    the variable is set. Variables are secret by their names; values of fewer than six letters stay.
    """
    found = {value: name for name, value in environ.items() if _SECRET.search(name) and len(value) >= _SHORTEST_SECRET}
    for value in sorted(found, key=len, reverse=True):  # a secret may contain another one
        for form in {value, json.dumps(value)[1:-1], value.replace("'", "''")}:
            text = text.replace(form, f"${{{found[value]}}}")
    return text


def write_atomic(path: Path, data: str | bytes, *, mode: int = 0o666) -> None:
    """Write a whole file or none of it.

    Args:
        mode: permissions of the file, less those that the umask takes away.

    Raises:
        StoreError: disk full, no permission, and the like.
    """
    raw = data.encode() if isinstance(data, str) else data
    with replacing(path, "free space or choose --runs DIR") as temporary:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(temporary, flags, mode), "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Objects of a JSON lines file; a torn last line (the writer was killed) is left out, a missing file is empty."""
    try:
        file = open(path, "rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                yield found


class EventLog:
    """Append-only JSON lines, one write per event, so that a kill loses at most the line being written."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        with open(path, "rb") as file:
            # The last write, ours or a dead writer's, stopped in the middle of a line: begin a line of our own.
            self._torn = file.seek(0, os.SEEK_END) > 0 and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n"

    def append(self, event: Mapping[str, Any], *, sync: bool = False) -> None:
        """Add one event; with `sync` it is on disk when this returns.

        Raises:
            StoreError: the disk is full or gone.
        """
        line = json.dumps(event, separators=(",", ":"), default=str).encode() + b"\n"
        if self._torn:
            line = b"\n" + line
        try:
            written = os.write(self._fd, line)
            self._torn = written != len(line)
            if self._torn:
                raise OSError(28, "No space left on device")
            if sync:
                os.fsync(self._fd)
        except OSError as error:
            raise StoreError(f"cannot write {self.path}: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the file; idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class RunDir:
    """Paths of one run. Making the object touches nothing; `create` makes the folder."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()

    @classmethod
    def create(cls, root: Path, name: str) -> RunDir:
        """A new folder `root/<name>/<utc>-<id>`.

        Raises:
            StoreError: it cannot be made.
        """
        safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "run"
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        path = root / safe / f"{stamp}-{secrets.token_hex(3)}"
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise StoreError(
                f"cannot make the run directory {path}: {error.strerror or error}",
                hint="choose another place with --runs DIR",
            ) from error
        return cls(path)

    @property
    def id(self) -> str:
        """`<utc>-<id>`, unique."""
        return self.path.name

    def file(self, name: str) -> Path:
        """A file directly in the run directory."""
        return self.path / name

    def cell(self, variant: str, trial: int) -> Path:
        """`cells/<variant>/<trial>`."""
        return self.path / "cells" / variant / str(trial)

    def block(self, variant: str, trial: int | None = None) -> Path:
        """`blocks/<variant>` or, when the stack is fresh per trial, `blocks/<variant>-<trial>`."""
        return self.path / "blocks" / (variant if trial is None else f"{variant}-{trial}")

    def write_json(self, name: str, data: Mapping[str, Any]) -> None:
        """A JSON file with `schema_version`, whole or not at all.

        Raises:
            StoreError: it cannot be written.
        """
        write_atomic(
            self.path / name, json.dumps({"schema_version": SCHEMA_VERSION, **data}, indent=1, default=str) + "\n"
        )

    def read_text(self, name: str) -> str:
        """A text file of the run.

        Raises:
            StoreError: missing, unreadable, or (JSON) written by a newer chaoskit.
        """
        path = self.path / name
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(
                f"cannot read {path}: {error}", hint="is this a run directory? `chaoskit runs` lists them"
            ) from error
        if name.endswith(".json"):
            try:
                version = json.loads(text).get("schema_version", SCHEMA_VERSION)
            except (ValueError, AttributeError) as error:
                raise StoreError(f"{path} is not a JSON object: {error}") from error
            if isinstance(version, int) and version > SCHEMA_VERSION:
                raise StoreError(
                    f"{path} has schema_version {version}; this chaoskit reads up to {SCHEMA_VERSION}",
                    hint="use the chaoskit that wrote it, or a newer one",
                )
        return text
