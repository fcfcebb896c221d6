"""YAML text to a tree of nodes that know their place in the file. The only module that touches ruamel.yaml.

The tree is built from the parser's event stream with a stack of its own, so that neither nesting nor aliases can cost
more than the stated bounds, and duplicate keys are all found instead of the first one.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from chaoskit.errors import Problem
from chaoskit.spec.substitute import substitute

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_VALUES", "Node", "Place", "emit", "parse_file", "parse_text"]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 40
MAX_VALUES = 20_000

_LONGEST = 400  # characters of a message

Scalar = str | int | float | bool | None
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_KNOWN_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")}
_PLAIN = re.compile(r"[A-Za-z0-9](?:[\w ./%<>=()+-]*[\w./%)+])?")


class Place(NamedTuple):
    """Where something was written. Lines and columns count from 1; line 0 = not in a file (`--set`)."""

    file: str
    line: int = 0
    column: int = 0

    def problem(self, what: str, why: str = "", hint: str = "") -> Problem:
        """A mistake at this place. What is quoted from the file is cut to a length that can be read."""
        texts = (text if len(text) <= _LONGEST else text[:_LONGEST] + "…" for text in (what, why, hint))
        return Problem(self.file, self.line, self.column, *texts)


@dataclass(eq=False)
class Node:
    """One value of the file. Aliased values are one object: never change a node, make another.

    Attributes:
        kind: `map` (entries), `list` (items) or `scalar` (text, after substitution).
        plain: written without quotes, so that `5` is a number and `true` a truth value.
        lead: columns from `place` to the first character of `text`; -1 when the text differs from what was written.
        size, depth: of the whole subtree, aliases counted each time.
    """

    kind: Literal["map", "list", "scalar"]
    place: Place
    text: str = ""
    plain: bool = True
    lead: int = -1
    items: list[Node] = field(default_factory=list)
    entries: list[tuple[Node, Node]] = field(default_factory=list)
    size: int = 1
    depth: int = 1

    def at(self, offset: int) -> Place:
        """Place of a character of `text`; the beginning of the value where that cannot be told."""
        if self.lead < 0 or not self.place.line:
            return self.place
        return self.place._replace(column=self.place.column + self.lead + offset)

    @property
    def scalar(self) -> Scalar:
        """The value by the rules of YAML 1.2 (`yes`, `on` and `12:30` are text)."""
        if not self.plain:
            return self.text
        if self.text in _NULLS:
            return None
        if self.text in _BOOLS:
            return _BOOLS[self.text]
        if len(self.text) <= 300:
            if _INT.fullmatch(self.text):
                return int(self.text)
            if _FLOAT.fullmatch(self.text):
                return float(self.text)
        return self.text

    @property
    def is_null(self) -> bool:
        """Nothing was written."""
        return self.kind == "scalar" and self.scalar is None

    def get(self, key: str) -> Node | None:
        """The value of a key of a map."""
        return next((value for name, value in self.entries if name.text == key), None)

    def child(self, step: str | int) -> Node | None:
        """The value of a key, or the entry of a list."""
        if isinstance(step, int):
            return self.items[step] if 0 <= step < len(self.items) else None
        return self.get(step)

    def walk(self, path: tuple[str | int, ...]) -> Node:
        """The node at a path, or the nearest one above it that was written."""
        node = self
        for step in path:
            found = node.child(step)
            if found is None:
                break
            node = found
        return node


def parse_file(
    path: Path, name: str, environ: Mapping[str, str], problems: list[Problem], keep: str | None = None
) -> tuple[Node | None, str]:
    """Read a file: its root node (None: not readable as YAML) and its text. Mistakes are added to `problems`.

    Args:
        name: how the file is called in problems.
        environ: for `${VAR}`. keep: variables that begin with this stay as they are.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():  # to open a pipe would wait for its writer
            problems.append(Problem(name, 0, 0, "is not a regular file"))
            return None, ""
        with open(path, "rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        problems.append(Problem(name, 0, 0, f"cannot be read: {error.strerror or error}"))
        return None, ""
    if len(raw) > MAX_BYTES:
        problems.append(Problem(name, 0, 0, f"is larger than {MAX_BYTES // 1024} KiB", "no file of this kind is"))
        return None, ""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, start = raw.count(b"\n", 0, error.start) + 1, raw.rfind(b"\n", 0, error.start) + 1
        what = f"byte 0x{raw[error.start]:02x} is not UTF-8 text"
        problems.append(Problem(name, line, error.start - start + 1, what, "is this a YAML file?"))
        return None, ""
    return parse_text(text, name, environ, problems, keep), text


def parse_text(
    text: str, name: str, environ: Mapping[str, str] | None, problems: list[Problem], keep: str | None = None
) -> Node | None:
    """The root node of a YAML document, None if there is none. Mistakes are added to `problems`.

    Args:
        environ: for `${VAR}`; None leaves all as they are. keep: variables that begin with this stay as they are.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.reader import ReaderError

    before = len(problems)
    builder = _Builder(name, environ, problems, keep)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            if not builder.feed(event):
                return None
    except MarkedYAMLError as error:
        opened = error.context in ("while scanning an alias", "while scanning a quoted scalar")
        mark = error.context_mark if opened and error.context_mark else error.problem_mark or error.context_mark
        place = Place(name, mark.line + 1, mark.column + 1) if mark else Place(name)
        problems.append(_explain(place, error, text))
        return None
    except ReaderError as error:
        head = text[: error.position]
        place = Place(name, head.count("\n") + 1, error.position - head.rfind("\n"))
        problems.append(place.problem(f"character U+{error.character:04X} is not allowed in YAML"))
        return None
    except Exception as error:  # whatever a parser may trip over in arbitrary bytes is a mistake of the file
        problems.append(Problem(name, 0, 0, f"cannot be read as YAML: {error}"))
        return None
    if builder.root is None and len(problems) == before:
        problems.append(Problem(name, 0, 0, "is empty"))
    return builder.root


class _Builder:
    """Events in, nodes out."""

    def __init__(self, name: str, environ: Mapping[str, str] | None, problems: list[Problem], keep: str | None) -> None:
        self.root: Node | None = None
        self._name = name
        self._environ = environ
        self._keep = keep
        self._problems = problems
        self._anchors: dict[str, Node] = {}
        self._stack: list[tuple[Node, list[Node], str | None]] = []  # open collection, its children, its anchor
        self._count = 0

    def feed(self, event: Any) -> bool:
        """Take one event; False = the document cannot be read further."""
        kind = type(event).__name__
        if kind in ("StreamStartEvent", "StreamEndEvent", "DocumentEndEvent"):
            return True
        place = Place(self._name, event.start_mark.line + 1, event.start_mark.column + 1)
        if kind == "DocumentStartEvent":
            if self.root is not None:
                return self._stop(place, "a second document begins here", hint="keep one document per file")
            return True
        if kind in ("MappingEndEvent", "SequenceEndEvent"):
            node, children, anchor = self._stack.pop()
            return self._close(node, children) and self._add(node, anchor)
        if kind == "AliasEvent":
            return self._alias(event.anchor, place)
        self._count += 1
        if self._count > MAX_VALUES:
            return self._stop(place, f"more than {MAX_VALUES:,} values in one file")
        tag = str(event.tag) if event.tag is not None else None
        if tag is not None and tag not in _KNOWN_TAGS:
            self._problems.append(place.problem(f"tag {tag} is not supported", hint="write the plain value"))
        if kind == "ScalarEvent":
            return self._add(self._scalar(event, place, tag), event.anchor)
        if len(self._stack) >= MAX_DEPTH:
            return self._stop(place, f"nested deeper than {MAX_DEPTH} levels")
        self._stack.append((Node("map" if kind == "MappingStartEvent" else "list", place), [], event.anchor))
        return True

    def _stop(self, place: Place, what: str, why: str = "", hint: str = "") -> bool:
        self._problems.append(place.problem(what, why, hint))
        self.root = None
        return False

    def _scalar(self, event: Any, place: Place, tag: str | None) -> Node:
        text, style = str(event.value), event.style or ""
        if not text and not style and self._stack and self._stack[-1][1] and self._stack[-1][0].kind == "map":
            place = self._stack[-1][1][-1].place  # nothing was written: the parser's mark is that of what follows
        written = event.end_mark.index - event.start_mark.index
        lead = {"": 0, "'": 1, '"': 1}.get(style, -1)
        if written != len(text) + 2 * lead or event.start_mark.line != event.end_mark.line:
            lead = -1  # escapes, folded lines, tags: columns inside the text cannot be told
        node = Node("scalar", place, text, plain=style == "" and tag != "tag:yaml.org,2002:str", lead=lead)
        is_key = bool(self._stack) and self._stack[-1][0].kind == "map" and len(self._stack[-1][1]) % 2 == 0
        if self._environ is not None and not is_key and "$" in text:
            node.text = substitute(text, self._environ, lambda *found: self._complain(node, *found), self._keep)
            if node.text != text:
                node.lead = -1
        return node

    def _complain(self, node: Node, offset: int, what: str, hint: str) -> None:
        self._problems.append(node.at(offset).problem(what, "", hint))

    def _alias(self, name: str, place: Place) -> bool:
        if any(anchor == name for _, _, anchor in self._stack):
            return self._stop(place, f"*{name} contains itself", hint="remove the cycle")
        if name not in self._anchors:
            return self._stop(
                place,
                f"no anchor &{name} before this alias",
                "a plain value that begins with * is an alias",
                f'quote it if text is meant: "*{name} …"',
            )
        target = self._anchors[name]
        if target.depth + len(self._stack) > MAX_DEPTH:
            return self._stop(place, f"nested deeper than {MAX_DEPTH} levels through the alias *{name}")
        return self._add(target, None, place)

    def _add(self, node: Node, anchor: str | None, place: Place | None = None) -> bool:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._stack:
            self.root = node
            return True
        parent, children, _ = self._stack[-1]
        parent.size += node.size
        parent.depth = max(parent.depth, node.depth + 1)
        if parent.size > MAX_VALUES:
            return self._stop(place or node.place, f"aliases make more than {MAX_VALUES:,} values of this file")
        children.append(node)
        return True

    def _close(self, node: Node, children: list[Node]) -> bool:
        if node.kind == "list":
            node.items = children
            return True
        merges: list[Node] = []
        seen: dict[str, Place] = {}
        for key, value in zip(children[::2], children[1::2], strict=True):
            if key.kind != "scalar":
                self._problems.append(key.place.problem("a key must be text", "here it is a list or a map"))
            elif key.text == "<<" and key.plain:
                merges += value.items if value.kind == "list" else [value]
            elif key.text in seen:
                first = seen[key.text]
                self._problems.append(
                    key.place.problem(
                        f"duplicate key {key.text!r}", f"first written in line {first.line}", "remove one"
                    )
                )
            else:
                seen[key.text] = key.place
                node.entries.append((key, value))
        for merged in merges:
            if merged.kind != "map":
                self._problems.append(merged.place.problem("<< merges maps only"))
            for key, value in merged.entries:
                if key.text not in seen:
                    seen[key.text] = key.place
                    node.entries.append((key, value))
        return True


def _explain(place: Place, error: Any, text: str) -> Problem:
    """The parser's complaint, with the usual cause behind it."""
    what = str(error.problem or error.context or "not readable as YAML").replace("\t", "\\t")
    lines = text.splitlines()
    line = lines[place.line - 1] if 0 < place.line <= len(lines) else ""
    rest = line[place.column - 1 :]
    hint = ""
    if error.context == "while scanning an alias":
        hint = 'a value that begins with * needs quotes: "* -> db"'
    elif rest.startswith(("->", "<->")):
        hint = 'a selector that begins with [ needs quotes: "[api, worker] -> db"'
    elif "'\\t'" in what or "\\t" in what:
        hint = "indent with spaces"
    elif rest[:1] in ("@", "`", "%", "!", "&"):
        hint = f"a value that begins with {rest[0]} needs quotes"
    elif "mapping values are not allowed" in what:
        hint = "quote the value if it contains ': ', or check the indentation"
    elif "unexpected end of stream" in what:
        hint = "is the quote that opens here closed?"
    elif "expected ',' or" in what and error.context_mark is not None:
        hint = f"is the bracket that opens in line {error.context_mark.line + 1} closed?"
    return place.problem(f"not readable as YAML: {what}", "", hint)


def emit(node: Node) -> str:
    """YAML text that reads back as the same values, with nothing left to substitute."""
    return "".join(_lines(node, "")) or "{}\n"


def _lines(node: Node, indent: str) -> Iterator[str]:
    """Block style; `indent` is that of the node's own entries."""
    if node.kind == "map":
        for key, value in node.entries:
            yield f"{indent}{_quoted(key.text, True)}:{_after(value, indent)}"
            if value.kind != "scalar" and (value.items or value.entries):
                yield from _lines(value, indent + "  ")
    elif node.kind == "list":
        for item in node.items:
            yield f"{indent}-{_after(item, indent)}"
            if item.kind != "scalar" and (item.items or item.entries):
                yield from _lines(item, indent + "  ")
    else:
        yield f"{indent}{_quoted(node.text.replace('$', '$$'), node.plain)}\n"


def _after(value: Node, indent: str) -> str:
    if value.kind == "scalar":
        text = value.text.replace("$", "$$")
        return f" {_quoted(text, value.plain)}\n"
    if value.items or value.entries:
        return "\n"
    return " {}\n" if value.kind == "map" else " []\n"


def _quoted(text: str, plain: bool) -> str:
    import json

    typed = not isinstance(Node("scalar", Place(""), text).scalar, str)
    if (plain and typed and text) or (not typed and _PLAIN.fullmatch(text)):
        return text
    return "null" if plain and typed else json.dumps(text, ensure_ascii=True)
