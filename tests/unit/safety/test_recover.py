"""Cleaning up what killed runs left: the parts that need no killed run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chaoskit.safety.ledger import LedgerState
from chaoskit.safety.recover import RecoverReport, _remove


def test_who_was_overtaken_in_a_folder_goes_on_until_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "blocks" / "v" / "data"
    (data / "db").mkdir(parents=True)
    for name in "abcd":
        (data / "db" / name).touch()
    whole = shutil.rmtree
    overtaken = iter("ab")

    def rmtree(folder: Path) -> None:
        """The other one has removed a file between our listing the folder and our coming to it."""
        for name in overtaken:
            (data / "db" / name).unlink()
            (data / "db" / name).unlink()
        whole(folder)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    report = RecoverReport()
    assert _remove(LedgerState(), tmp_path, report, "run-1") == [str(data)]
    assert not data.exists() and report.left == []


def test_what_cannot_be_removed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "blocks" / "v" / "data"
    data.mkdir(parents=True)

    def rmtree(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder / "db"))

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    report = RecoverReport()
    assert _remove(LedgerState(), tmp_path, report, "run-1") == []
    assert report.left == [f"run-1: {data / 'db'} cannot be removed: Permission denied"]
