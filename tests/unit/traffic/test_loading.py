from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.errors import TargetError
from chaoskit.traffic.loading import load_workload, user_text

GOOD = """
class W:
    async def perform(self, intent, http): ...
    def final(self): return []
def workload(): return W()
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "workload.py"
    path.write_text(text)
    return path


def test_a_workload_is_made_and_may_import_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_workload.py").write_text("NAME = 'x'\n")
    made = load_workload(write(tmp_path, "import neighbour_of_workload\n" + GOOD), "workload")
    assert list(made.final()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_that_name\n", r"cannot be imported:\n  File .*line 1.*ModuleNotFoundError"),
        ("def workload(:\n", "SyntaxError"),
        ("raise SystemExit(3)\n", "cannot be imported"),
        ("x = 1\n", r"has no function workload\(\)"),
        ("def workload():\n    return 1 / 0\n", r"raised:\n  File .*line 2.*ZeroDivisionError"),
        ("def workload():\n    return object()\n", r"object without perform and final\(\)"),
        (GOOD.replace("async ", ""), "must be `async def`"),
        ("\0", "cannot be imported"),
    ],
)
def test_a_bad_file_says_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TargetError, match=f"(?s){message}") as found:
        load_workload(write(tmp_path, text), "workload")
    assert "chaoskit/traffic" not in str(found.value)
    assert found.value.hint


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="there is no workload file"):
        load_workload(tmp_path / "nowhere.py", "workload")


def test_errors_from_elsewhere_are_shown_without_frames(tmp_path: Path) -> None:
    assert user_text(ValueError("bad"), tmp_path / "workload.py") == "ValueError: bad"
