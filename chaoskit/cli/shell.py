"""The app as a command line that builds a command when it is asked for.

Typer builds all of them for one, which takes longer than most commands need for what they do.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from copy import copy
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_command_name
from typer.models import CommandInfo

__all__ = ["command_line"]


def command_line(app: typer.Typer) -> TyperGroup:
    """What `typer.main.get_command` makes of an app with a callback, its commands not built yet."""
    bare = copy(app)
    bare.registered_commands = []
    group = get_command(bare)
    assert isinstance(group, TyperGroup)  # because of the callback
    group.commands = _Commands(app.registered_commands)
    return group


class _Commands(MutableMapping[str, Any]):
    """Commands by name, each built when it is first looked up."""

    def __init__(self, registered: Sequence[CommandInfo]) -> None:
        self._found: dict[str, Any] = {}
        for one in registered:
            assert one.callback is not None
            self._found[one.name or get_command_name(one.callback.__name__)] = one

    def __getitem__(self, name: str) -> Any:
        if isinstance(found := self._found[name], CommandInfo):
            alone = typer.Typer(add_completion=False, rich_markup_mode=None)
            alone.registered_commands.append(found)
            self._found[name] = get_command(alone)
        return self._found[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._found[name] = command

    def __delitem__(self, name: str) -> None:
        del self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)
