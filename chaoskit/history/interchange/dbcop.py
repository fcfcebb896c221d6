"""dbcop's histories: JSON (`{"params": …, "data": [sessions]}`) and its compact text (`.hist`).

Source: dbcop's types of histories and the grammar of its text. Sessions hold transactions in their order, transactions
reads and writes of versions; null (`?`), or 0 where nobody writes it, is the version of a key before it was written. A
transaction that is not committed did not happen: dbcop calls it an error to read from one. Nothing is known of time.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any, BinaryIO

from chaoskit.errors import HistoryError
from chaoskit.history.interchange.json_text import decoder, fault
from chaoskit.history.interchange.open import LONGEST
from chaoskit.history.interchange.sessions import Sessions, Step, Transaction, natural, to_sessions
from chaoskit.history.operations import Operations

__all__ = ["FORMAT", "HIST", "Dbcop"]

_JSON = re.compile(rb'\s*(?:\{\s*"(?:params|info|start|end|data)"\s*:|\[\s*\[\s*\{\s*"(?:events|committed)"\s*:)')
_STEP = r"[\w]+(?::=[0-9]{1,20}|==(?:[0-9]{1,20}|\?))"
_TRANSACTION = re.compile(rf"\[[ \t]*({_STEP}(?:[ \t]+{_STEP})*)[ \t]*\](!?)")
_LINE = re.compile(rf"(?:{_TRANSACTION.pattern}(?:[ \t]+|$))+")
_BEGIN = re.compile(r"(?:[ \t]*(?://[^\n]*)?\r?\n)*[ \t]*\[[ \t]*\w+(?::=|==)")
_NEVER = "1970-01-01T00:00:00Z"
_NAME = re.compile(r"[A-Za-z_]\w*|0|[1-9][0-9]{0,17}", re.ASCII)


class Dbcop:
    """The formats `dbcop` and `dbcop-hist`: both read either, and write their own."""

    cannot_carry = (
        "times, and any order between sessions",
        "transactions whose outcome nobody knows (committed, where their writes were read)",
        "keys that are no numbers (in `.hist`: nor names) and values that are no numbers: they are numbered",
        "nodes, faults, numbers of operations and which reads were the last look",
        "operations other than transactions of reads and writes of registers",
    )

    def __init__(self, name: str, extension: str) -> None:
        self.name, self.extension = name, extension

    def matches(self, head: bytes, name: str) -> bool:
        """Whether it begins as JSON with dbcop's keys, or with a transaction of the text."""
        if self.name == "dbcop" and _JSON.match(head):
            return b'"events"' in head or b'"data"' in head
        return _BEGIN.match(head.decode("utf-8", "replace")) is not None

    def read(self, stream: BinaryIO, source: str) -> Operations:
        """The history in a file of either form.

        Raises:
            HistoryError: it is neither, or longer than a history in one piece of JSON may be.
        """
        text = stream.read(LONGEST)
        if stream.read(1):
            what = f"more than {LONGEST >> 20} MB in one piece"
            raise HistoryError(source, 0, what, hint="write it as PolySI's text, which is read line by line")
        try:
            content = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = text.count(b"\n", 0, error.start) + 1
            raise HistoryError(source, line, "text that is not UTF-8") from None
        return _read_json(content, source) if _JSON.match(text.lstrip(b"\xef\xbb\xbf")) else _read_text(content, source)

    def write(self, operations: Operations, out: BinaryIO) -> tuple[str, ...]:
        """All sessions, one after the other.

        Raises:
            HistoryError: an operation is no transaction of reads and writes.
        """
        named = self.name == "dbcop-hist"
        sessions, told = to_sessions(operations, "dbcop", key_fits=_nameable if named else natural)
        out.write((_as_text(sessions) if named else _as_json(sessions)).encode())
        return told


FORMAT = Dbcop("dbcop", ".json")
HIST = Dbcop("dbcop-hist", ".hist")


def _nameable(key: Any) -> bool:
    return natural(key) or (isinstance(key, str) and _NAME.fullmatch(key) is not None and not key[0].isdigit())


def _read_text(text: str, source: str) -> Operations:
    found, session = list[Transaction](), 0
    for number, whole in enumerate(text.split("\n"), 1):
        line = whole.strip()
        if not line or line.startswith("//"):
            continue
        if not line.strip("-"):
            session += 1
            continue
        if not _LINE.fullmatch(line):
            what = f"found {line[:60]!r} instead of transactions such as [x:=1 y==2 z==?]"
            raise HistoryError(source, number, what, hint="sessions are parted by lines of dashes")
        for steps, uncommitted in _TRANSACTION.findall(line):
            made = tuple(_step(one) for one in steps.split())
            found.append(Transaction(session, made, not uncommitted, number))
    return _made(found, source)


def _made(transactions: list[Transaction], source: str) -> Operations:
    zeros = {key for one in transactions for f, key, value in one.steps if f == "w" and value == 0}
    sessions = Sessions(source)
    for one in transactions:
        steps = tuple((f, key, None if value == 0 and key not in zeros else value) for f, key, value in one.steps)
        sessions.add(replace(one, steps=steps))
    return sessions.operations()


def _step(text: str) -> Step:
    f, (key, value) = ("w", text.split(":=")) if ":=" in text else ("r", text.split("=="))
    name = int(key) if key.isdigit() and _NAME.fullmatch(key) else key
    return f, name, None if value == "?" else int(value)


def _read_json(text: str, source: str) -> Operations:
    try:
        found = decoder().decode(text)
    except json.JSONDecodeError as error:
        raise HistoryError(source, error.lineno, f"no JSON: {fault(error)}") from None
    except (RecursionError, ValueError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise HistoryError(source, 0, what) from None
    transactions = list[Transaction]()
    data = found.get("data") if isinstance(found, dict) else found
    if not isinstance(data, list) or not all(isinstance(one, list) for one in data):
        raise HistoryError(source, 0, 'expected a list of sessions, each a list of transactions, under "data"')
    for number, session in enumerate(data):
        for place, one in enumerate(session):
            try:
                steps = tuple(map(_event, one["events"]))
                if type(one["committed"]) is not bool:
                    raise ValueError("committed must be true or false")
            except (KeyError, TypeError, ValueError) as error:
                what = f"transaction {place} of session {number} (both from 0) is none: {error}"
                hint = 'expected {"events": [{"Write": {"variable": 0, "version": 1}}, …], "committed": true}'
                raise HistoryError(source, 0, what, hint=hint) from None
            transactions.append(Transaction(number, steps, one["committed"]))
    return _made(transactions, source)


def _event(event: Any) -> Step:
    """`{"Write": {"variable": …, "version": …}}`, or `["w", variable, version]`, as newer versions write it."""
    if not isinstance(event, list | dict):
        raise ValueError(f"found {event!r:.40} instead of an event")
    if isinstance(event, list):
        kind, variable, version = event
    else:
        ((name, inner),) = event.items()
        kind, variable, version = {"Read": "r", "Write": "w"}.get(name), inner["variable"], inner["version"]
    if kind not in ("r", "w"):
        raise ValueError("an event must be a Read or a Write")
    if type(variable) is not int and not isinstance(variable, str):
        raise ValueError(f"a variable must be a number or a text, found {variable!r:.40}")
    if type(version) is not int and not (version is None and kind == "r"):
        raise ValueError(f"a version must be a number, found {version!r:.40}")
    return kind, variable, version


def _as_text(sessions: list[list[Transaction]]) -> str:
    def step(one: Step) -> str:
        f, key, value = one
        return f"{key}:={value}" if f == "w" else f"{key}=={'?' if value is None else value}"

    lines = [
        "".join(f"[{' '.join(map(step, one.steps))}]{'' if one.committed else '!'}\n" for one in session)
        for session in sessions
    ]
    return "---\n".join(lines)


def _as_json(sessions: list[list[Transaction]]) -> str:
    data = [
        [
            {
                "events": [
                    {"Write" if f == "w" else "Read": {"variable": key, "version": value}}
                    for f, key, value in one.steps
                ],
                "committed": one.committed,
            }
            for one in session
        ]
        for session in sessions
    ]
    counts = {
        "id": 0,
        "n_node": len(sessions),
        "n_variable": len({key for session in sessions for one in session for _, key, _ in one.steps}),
        "n_transaction": max(map(len, sessions), default=0),
        "n_event": max((len(one.steps) for session in sessions for one in session), default=0),
    }
    return json.dumps({"params": counts, "info": "", "start": _NEVER, "end": _NEVER, "data": data}) + "\n"
