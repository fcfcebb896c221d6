"""Files that a user names: whole or not there; and devices, pipes and folders are never replaced by one."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from chaoskit.errors import StoreError
from chaoskit.files import writing


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.html"
    with writing(path, "hint") as place:
        place.write_text("one")
    with pytest.raises(ZeroDivisionError), writing(path, "hint") as place:
        place.write_text(f"half of t{1 // 0}")
    assert path.read_text() == "one" and list(path.parent.iterdir()) == [path]


def test_a_device_stays_a_device(tmp_path: Path) -> None:
    path = tmp_path / "full"
    path.symlink_to("/dev/full")  # where this fails, the link is replaced and not the machine's device
    with pytest.raises(StoreError, match="No space left on device"), writing(path, "free space") as place:
        place.write_text("x")
    assert path.is_symlink() and stat.S_ISCHR(path.stat().st_mode)


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    path, found = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: found.append(path.read_text()))
    reader.start()
    with writing(path, "hint") as place:
        place.write_text("page")
    reader.join(10)
    assert found == ["page"] and stat.S_ISFIFO(path.stat().st_mode)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="it is a folder"), writing(tmp_path, "hint"):
        pass
