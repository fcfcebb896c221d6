"""What a target can be told and asked: read from the Compose file, checked against the Python file, never run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ACTIONS = """\
raise RuntimeError("never run while reading")

async def move_leader(place, to):
    pass

def drain(place, /, *, node="db", slowly=None):
    pass

def refill(place, **anything):
    pass

def leader(place):
    pass

def nothing():
    pass

def needy(place, to, *, why):
    pass

bound = lambda place: None
"""
DECLARED = """\
  actions:
    move-leader: {arguments: [to], timeout: 3s}
    drain: {function: drain, arguments: [node, slowly], undo: refill}
    refill: {arguments: [node]}
    lent: {function: bound}
  roles:
    leader: {nodes: [db, cache], timeout: 2s}
"""


@pytest.fixture
def text(folder: Path, compose: str) -> str:
    (folder / "actions.py").write_text(ACTIONS)
    return compose + DECLARED


def test_actions_and_roles_are_declared(read: Any, text: str, folder: Path) -> None:
    target, problems = read(text)
    assert problems == []
    move, drain, refill, lent = target.actions
    assert (move.name, move.function, move.arguments, move.timeout) == ("move-leader", "move_leader", ("to",), 3.0)
    assert move.undo is None and Path(move.file) == folder / "actions.py"
    assert (drain.undo, drain.timeout) == ("refill", 10.0)
    assert refill.arguments == ("node",) and lent.function == "bound"
    (role,) = target.roles
    assert (role.name, role.function, role.nodes, role.timeout) == ("leader", "leader", ("db", "cache"), 2.0)


def test_another_file(read: Any, text: str, folder: Path) -> None:
    (folder / "actions.py").rename(folder / "told.py")
    _, problems = read(text.replace("leader: {nodes", "leader: {file: told.py, nodes"))
    assert len(problems) == 4 and all("'actions.py' cannot be read" in str(problem) for problem in problems)
    assert "role" not in str(problems)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("{arguments: [to], timeout: 3s}", "{arguments: [too]}", "takes no argument 'too', which is declared"),
        ("{arguments: [to], timeout: 3s}", "{}", "needs 'to', which is not declared under `arguments`"),
        ("{arguments: [to], timeout: 3s}", "{timeout: 0s}", "a duration above 0 is expected"),
        ("{arguments: [to], timeout: 3s}", "{undos: refill}", "did you mean 'undo'?"),
        ("lent: {function: bound}", "lent: {function: bond}", "did you mean 'bound'?"),
        ("lent: {function: bound}", "lent: {}", "has no function lent"),
        ("lent: {function: bound}", "lent: {function: nothing}", "takes no argument: the first one is the place"),
        ("lent: {function: bound}", "lent: {function: needy, arguments: [to]}", "needs 'why', which is not declared"),
        ("lent: {function: bound}", "lent: {function: 1st}", "a Python name is expected"),
        ("undo: refill", "undo: refil", "did you mean 'refill'?"),
        ("nodes: [db, cache]", "nodes: [db, cash]", "'cash' is no node"),
        ("nodes: [db, cache]", "nodes: []", "at least 1 expected"),
        ("{nodes: [db, cache], timeout: 2s}", "{timeout: 2s}", "nodes is missing"),
    ],
)
def test_mistakes_have_a_place(read: Any, text: str, old: str, new: str, what: str) -> None:
    assert old in text
    target, problems = read(text.replace(old, new))
    assert target is None
    line = next(n for n, one in enumerate(text.replace(old, new).splitlines(), 1) if new.split(",")[0] in one)
    assert any(what in str(p) and str(p).startswith(f"compose.yaml:{line}:") for p in problems), [*map(str, problems)]


def test_a_file_that_is_no_python(read: Any, text: str, folder: Path) -> None:
    (folder / "actions.py").write_text("def leader(place:\n")
    _, problems = read(text)
    assert any(str(problem).startswith("actions.py:1:") and "is not Python" in str(problem) for problem in problems)
    (folder / "actions.py").unlink()
    (folder / "actions.py").mkdir()
    _, problems = read(text)
    assert any("it is not a regular file" in str(problem) for problem in problems)


def test_an_undo_takes_no_more_than_its_action(read: Any, text: str) -> None:
    _, problems = read(text.replace("refill: {arguments: [node]}", "refill: {arguments: [node, where]}"))
    assert len(problems) == 1
    assert str(problems[0]).startswith("compose.yaml:25:63: refill takes where, which drain does not")
