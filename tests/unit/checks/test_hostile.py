"""Files that are torn, bent or hostile: a verdict, or an error of the file; nothing else, and always the same."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from histories.hostile import FILES, mutated

from chaoskit.checks.files import FileCheck, check_file, export_file
from chaoskit.checks.result import Options
from chaoskit.cli.check_text import file_text
from chaoskit.errors import HistoryError
from chaoskit.history.operation import NONE
from chaoskit.registry import names

SEED = os.environ.get("CHAOSKIT_SEED", "1")
COUNT = int(os.environ.get("CHAOSKIT_MUTATIONS", "60"))  # of each file
OPTIONS = Options(budget=2.0)


def outcome(path: Path, model: str | None, format: str = "auto", keyed: bool | None = None) -> FileCheck:
    """What comes of a file; whatever is raised but HistoryError is a bug, and so is a checker that crashed."""
    try:
        found = check_file(str(path), model, OPTIONS, format=format, keyed=keyed, with_power=False)
    except HistoryError as error:
        return FileCheck(str(path), error=error)
    assert found.checked is None or not found.checked.crash
    assert not [one for one in found.suggestions for reason in one.against if "crashed" in reason]
    assert file_text(found)
    return found


def verdict(found: FileCheck) -> object:
    """All that is said of a file, but how long it took."""
    return {name: said for name, said in found.summary().items() if name not in ("seconds", "file", "format", "notes")}


@pytest.mark.parametrize("name", FILES)
def test_valid_files_are_what_they_should_be(name: str, tmp_path: Path) -> None:
    content, model = FILES[name]
    (tmp_path / name).write_bytes(content)
    assert outcome(tmp_path / name, model).checked is not None


@pytest.mark.parametrize("name", FILES)
def test_whatever_happens_to_a_file(name: str, tmp_path: Path) -> None:
    """Bytes and words change; the file is read in any format, judged twice, written in all formats and judged again."""
    print(f"CHAOSKIT_SEED={SEED}")
    content, model = FILES[name]
    path, formats = tmp_path / name, names("format")
    for number in range(COUNT):
        chance = random.Random(f"{SEED} {name} {number}")
        path.write_bytes(mutated(content, chance))
        asked = model if chance.random() < 0.8 else None
        format = "auto" if chance.random() < 0.9 else chance.choice(formats)
        found = outcome(path, asked, format)
        if found.operations is None:
            assert len(str(found.error)) < 1500, "nobody reads that"
            continue
        assert verdict(outcome(path, asked, format)) == verdict(found), f"mutation {number}: twice, and not the same"
        to = chance.choice(formats)
        try:
            lost = export_file(str(path), to, tmp_path / "written", format=format)
        except HistoryError:
            continue  # this format cannot carry it, and says so
        if found.checked is None or "order between sessions" in " ".join(lost):
            continue
        keys = bool((found.operations.key != NONE).any()) and to in ("jepsen", "elle")
        again = outcome(tmp_path / "written", asked, to, keyed=True if keys else None)
        if again.checked is None:
            # What is left where all failed is nothing; and what is no pair may not look like one.
            known = ("[key value]", "an empty history")
            assert any(one in str(again.error) for one in known), (
                f"mutation {number}: {to} is not read again: {again.error}"
            )
        else:
            before, after = found.checked.result.verdict, again.checked.result.verdict
            assert before == after, f"mutation {number}: {before} is {after} as {to}; lost: {lost}"
