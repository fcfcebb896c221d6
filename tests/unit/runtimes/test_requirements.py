"""Whether an environment satisfies a requirements.txt, down to what packages need in turn."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaoskit.runtimes import requirements
from chaoskit.runtimes.requirements import missing, read_lines


class Fake:
    """An installed package."""

    def __init__(self, version: str, *requires: str) -> None:
        self.version, self.requires = version, list(requires)


INSTALLED = {
    "web": Fake("2.1", "core>=1", 'fast>=1; extra == "speed"', 'old; python_version < "3"'),
    "core": Fake("1.5", "web"),  # packages do need each other in circles
    "broken": Fake("1", "core>=2"),
    "beta": Fake("3.0b1"),
}


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def distribution(name: str) -> Fake:
        try:
            return INSTALLED[name.lower()]
        except KeyError:
            raise requirements.PackageNotFoundError(name) from None

    monkeypatch.setattr(requirements, "distribution", distribution)


@pytest.mark.parametrize(
    "line",
    ["web", "Web>=2,<3", "web==2.1 --hash=sha256:00", 'nothing; python_version < "3"', "beta>=2", "core~=1.4"],
)
def test_satisfied(line: str) -> None:
    assert missing([line]) is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("web>=3", "2.1 is installed"),
        ("other", "other is not installed"),
        ("web[speed]", "fast is not installed"),
        ("broken", "core 1.5 is installed"),
        ("web @ https://example.org/web.whl", "a URL"),
        ("-e .", "only pip"),
        ("--index-url https://example.org", "only pip"),
        ("./local", "only pip"),
    ],
)
def test_not_satisfied_says_what_is_missing(line: str, why: str) -> None:
    found = missing(["core", line])
    assert found is not None
    assert found.startswith(line)
    assert why in found


def test_files_are_read_as_pip_reads_them(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "requirements.txt").write_text("# all\nweb>=2 # why\n\n-r more/base.txt\ncore \\\n  >=1\n")
    (tmp_path / "more" / "base.txt").write_text("--requirement ../last.txt\nbeta#egg\n")
    (tmp_path / "last.txt").write_text("last")
    lines = read_lines(tmp_path / "requirements.txt")
    assert [" ".join(line.split()) for line in lines] == ["web>=2", "last", "beta#egg", "core >=1"]


def test_files_that_include_each_other(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("-r b.txt\n")
    (tmp_path / "b.txt").write_text("-r a.txt\n")
    with pytest.raises(ValueError, match="includes itself"):
        read_lines(tmp_path / "a.txt")
