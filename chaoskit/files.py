"""Files that are whole or not there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaoskit.errors import StoreError

__all__ = ["SCHEMA_VERSION", "replacing", "writing"]

SCHEMA_VERSION = 1  # of every JSON file in a run directory; raised when a reader of the old one would be misled


@contextmanager
def replacing(path: Path, hint: str) -> Iterator[Path]:
    """A temporary name beside `path` to write to; it becomes `path` when the block ends, and is gone when that fails.

    Args:
        hint: the next step for the user when it fails.

    Raises:
        StoreError: disk full, no permission, and the like.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}", hint=hint) from error
    finally:
        try:
            temporary.unlink(missing_ok=True)
        except OSError:
            pass


@contextmanager
def writing(path: Path, hint: str) -> Iterator[Path]:
    """As `replacing`, for files that a user names: what is there and is no file (/dev/stdout, a pipe, a disk) is
    written to, and never replaced. Arguments and errors are the same.

    Raises:
        StoreError: it is a folder, too.
    """
    if path.is_dir():
        raise StoreError(f"cannot write {path}: it is a folder", hint="name a file in it")
    if not path.exists() or path.is_file():
        with replacing(path, hint) as temporary:
            yield temporary
        return
    try:
        yield path
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}", hint=hint) from error
