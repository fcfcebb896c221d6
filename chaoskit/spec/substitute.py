"""`${VAR:-default}` and its kin, by Compose's rules: values only, `$$` is a dollar sign. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

__all__ = ["substitute"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERATOR = re.compile(r":?[-?+]")
_MAX_NESTING = 10

Complain = Callable[[int, str, str], None]  # offset in the text, what, hint


def substitute(text: str, environ: Mapping[str, str], complain: Complain, keep: str | None = None) -> str:
    """`text` with variables replaced: `$VAR ${VAR} ${VAR:-default} ${VAR-default} ${VAR:?why} ${VAR:+other} $$`.

    Args:
        complain: called for each mistake; the faulty piece stays as it is.
        keep: names that begin with this are left alone, for whoever replaces them later.
    """
    return _Substitution(environ, complain, keep).text(text)


class _Substitution(NamedTuple):
    environ: Mapping[str, str]
    complain: Complain
    keep: str | None
    depth: int = 0  # how many defaults the text is nested in

    def text(self, text: str) -> str:
        out: list[str] = []
        at = 0
        while (dollar := text.find("$", at)) >= 0:
            out.append(text[at:dollar])
            at = dollar + 1
            if text.startswith("$", at):
                out.append("$")
                at += 1
            elif text.startswith("{", at):
                end = _closing(text, at)
                if end < 0:
                    self.complain(dollar, "'${' is not closed", "write ${VAR}, or $$ for a dollar sign")
                    return "".join(out) + text[dollar:]
                out.append(self.braced(text[dollar : end + 1], dollar))
                at = end + 1
            elif (match := _NAME.match(text, at)) is not None:
                at = match.end()
                out.append(text[dollar:at] if self.kept(match[0]) else self.value(match[0], dollar))
            else:
                self.complain(dollar, "'$' is followed by no variable name", "write $$ for a dollar sign")
                out.append("$")
        return "".join(out) + text[at:]

    def braced(self, whole: str, offset: int) -> str:
        inner = whole[2:-1]
        name = _NAME.match(inner)
        if name is None:
            self.complain(offset, f"{whole!r} names no variable", "write ${VAR}, or $$ for a dollar sign")
            return whole
        if name.end() == len(inner):
            return whole if self.kept(name[0]) else self.value(name[0], offset)
        operator = _OPERATOR.match(inner, name.end())
        if operator is None or self.depth >= _MAX_NESTING:
            self.complain(offset, f"{whole!r} is not understood", "write ${VAR} or ${VAR:-default}")
            return whole
        value, rest = self.environ.get(name[0]), inner[operator.end() :]
        is_set = bool(value) if operator[0].startswith(":") else value is not None
        if operator[0].endswith("+"):
            return self.nested(rest, offset) if is_set else ""
        if is_set:
            return value or ""
        if operator[0].endswith("-"):
            return self.nested(rest, offset)
        self.complain(offset, f"variable {name[0]} is not set{': ' + rest if rest else ''}", f"export {name[0]}=…")
        return whole

    def kept(self, name: str) -> bool:
        return self.keep is not None and name.startswith(self.keep)

    def nested(self, text: str, offset: int) -> str:
        """A default, itself substituted; its mistakes are at the place of the whole."""
        inner = self._replace(complain=lambda _, what, hint: self.complain(offset, what, hint), depth=self.depth + 1)
        return inner.text(text)

    def value(self, name: str, offset: int) -> str:
        if name not in self.environ:
            hint = f"export {name}=… or write ${{{name}:-default}}"
            self.complain(offset, f"variable {name} is not set and has no default", hint)
            return ""
        return self.environ[name]


def _closing(text: str, opening: int) -> int:
    """Index of the brace that closes the one at `opening`; -1 if none does."""
    level = 0
    for at in range(opening, len(text)):
        if text[at] == "{" and text[at - 1] == "$":
            level += 1
        elif text[at] == "}":
            level -= 1
            if level == 0:
                return at
    return -1
