"""A witness on a terminal: one bar per operation from sent to answered, in the order in which things happened.

Events are set apart evenly: what came before what can be seen, how much earlier cannot; the times stand beside the
bars. Source of the picture: Porcupine's visualisation.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence
from typing import Any

from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import NEVER, Operations
from chaoskit.history.values import shown
from chaoskit.units import format_duration

__all__ = ["MOST", "answered", "asked", "draw", "fitted", "harmless"]

MOST = 10  # operations in one diagram
_LEAST_BAR = 2 * MOST + 4  # columns: every event of ten operations has one of its own
_WIDEST_CALL = 34
_LONGEST = 400  # characters of a call in full


def draw(operations: Operations, positions: Sequence[int], width: int = 90, *, plain: bool = False) -> list[str]:
    """Lines of a diagram of some operations, in order of invocation; at most MOST of them.

    Args:
        width: columns of the terminal; at least 60 are used.
        plain: ASCII only.
    """
    order = sorted({int(one) for one in positions}, key=lambda one: int(operations.invoked[one]))
    few = order[:MOST]
    calls = [_call(operations, one, plain) for one in few]
    digits = 6 if any(int(operations.began_ns[one]) % 1_000_000 for one in few) else 3
    times = [_times(operations, one, digits, plain) for one in few]
    widest = max((len(str(int(operations.index[one]))) for one in few), default=0)
    who = [f"{int(operations.index[one]):>{widest}}  process {int(operations.process[one])}" for one in few]
    left, right = max(map(_columns, who), default=0), max(map(_columns, times), default=0)
    most = max(12, min(_WIDEST_CALL, width - left - right - _LEAST_BAR - 6))
    call = min(max(map(_columns, calls), default=0), most)
    room = max(_LEAST_BAR, min(48, width - left - call - right - 6))
    events = sorted({rank for one in few for rank in _ends(operations, one) if rank != NEVER})
    place = {rank: round(at * (room - 4) / max(1, len(events) - 1)) for at, rank in enumerate(events)}
    lines = []
    for one, name, text, time in zip(few, who, calls, times, strict=True):
        began, ended = _ends(operations, one)
        bar = _bar(place[began], place.get(ended), room, Outcome(int(operations.outcome[one])), plain)
        lines.append(f"{fitted(name, left)}  {fitted(text, call)}  {fitted(bar, room)}  {time}".rstrip())
    if len(order) > MOST:
        lines.append(f"and {len(order) - MOST} more")
    cut = [at for at, text in enumerate(calls) if _columns(text) > call]
    lines += [f"{int(operations.index[few[at]]):>{widest}} in full: {_ended(calls[at], plain)}" for at in cut]
    return lines


def _ended(call: str, plain: bool) -> str:
    """What is shown of a call in full: nothing more than its beginning, where that is long."""
    return call if len(call) < _LONGEST else call[:_LONGEST] + (" ..." if plain else " …")


def harmless(text: str) -> str:
    """Text from a history as a terminal may be given it: what is not printable is written as an escape."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def fitted(text: str, columns: int) -> str:
    """Text in exactly so many columns: cut with an ellipsis, or filled with spaces."""
    if _columns(text) > columns:
        mark = "…" if not text.isascii() else "..."
        ends = itertools.accumulate(map(_wide, text))
        text = text[: sum(1 for _ in itertools.takewhile(lambda end: end + len(mark) <= columns, ends))] + mark
    return text + " " * (columns - _columns(text))


def _columns(text: str) -> int:
    return len(text) if text.isascii() else sum(map(_wide, text))


def _wide(one: str) -> int:
    return 0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1


def _ends(operations: Operations, position: int) -> tuple[int, int]:
    return int(operations.invoked[position]), int(operations.completed[position])


def _call(operations: Operations, position: int, plain: bool) -> str:
    """What was asked and answered: "read x → 4", "write x 5 ok"."""
    parts = [asked(operations, position)]
    answer = answered(operations, position)
    if answer is not None:
        parts.append(f"{'->' if plain else '→'} {answer}")
    else:
        outcome = Outcome(int(operations.outcome[position]))
        parts.append({Outcome.OK: "ok", Outcome.FAIL: "failed"}.get(outcome, "?"))
    text = harmless(" ".join(parts)[:_LONGEST])
    return text.encode("ascii", "backslashreplace").decode() if plain else text


def asked(operations: Operations, position: int) -> str:
    """What was asked: "write x 5". Of a transaction that was answered only that it is one: the answer repeats it."""
    parts = [operations.function(position)]
    key, value, result = (int(column[position]) for column in (operations.key, operations.value, operations.result))
    if key != NONE:
        parts.append(shown(operations.of_value(key)))
    done = operations.outcome[position] == Outcome.OK
    if value != NONE and not (done and _filled_in(operations.of_value(value), result, operations)):
        parts.append(shown(operations.of_value(value)))
    return " ".join(parts)


def answered(operations: Operations, position: int) -> str | None:
    """The value that was answered: "4", "nil"; None where the outcome says it all. Jepsen repeats what was written."""
    value, result = int(operations.value[position]), int(operations.result[position])
    if operations.outcome[position] != Outcome.OK or (value != NONE and result in (NONE, value)):
        return None
    return shown(operations.of_value(result))


def _filled_in(asked: Any, result: int, operations: Operations) -> bool:
    """Whether an answer is what was asked with the reads filled in: a transaction."""
    answer = operations.of_value(result)
    return isinstance(asked, tuple) and isinstance(answer, tuple) and asked != answer and len(asked) == len(answer)


def _times(operations: Operations, position: int, digits: int, plain: bool) -> str:
    """ "1.204 s + 12 ms", or nothing where the history has no times. digits: of the seconds, alike in one diagram."""
    began, ended = int(operations.began_ns[position]), int(operations.ended_ns[position])
    if began == NONE:
        return ""
    at = f"{began / 1e9:.{digits}f} s"
    if ended == NONE or operations.completed[position] == NEVER:
        return at
    took = format_duration(max(0, ended - began) / 1e9)
    return f"{at} + {took.replace('µ', 'u') if plain else took}"


def _bar(began: int, ended: int | None, room: int, outcome: Outcome, plain: bool) -> str:
    """├────┤ answered, ├╌╌╌╌▶ nobody knows, ├─ ✕ ─┤ failed."""
    start, rule, stop, arrow = ("|", "-", "|", ">") if plain else ("├", "─", "┤", "▶")
    if ended is None:
        return " " * began + start + rule * (room - began - 2) + arrow
    middle = rule * max(0, ended - began - 1)
    if outcome == Outcome.FAIL:
        middle = (":" if plain else "╌") * len(middle)
    return " " * began + start + middle + stop
