"""Histories to write and to read again: any that clients could have produced, and compared by what they say."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from hypothesis import strategies as st

from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import NEVER, Mark, Operations, ranks
from chaoskit.history.values import Keyword, Map, Values

__all__ = ["VALUES", "again", "any_history", "read", "told"]

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.integers(-(1 << 80), 1 << 80),
    st.floats(allow_nan=False),
    st.text(max_size=6),
    st.from_regex(r"[a-z][a-z0-9-]{0,5}", fullmatch=True).map(Keyword),
)


VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.frozensets(st.integers(0, 9), max_size=3),
        st.dictionaries(st.one_of(st.integers(0, 9), st.text(max_size=3)), inner, max_size=2).map(Map),
    ),
    max_leaves=6,
)


@st.composite
def any_history(draw: st.DrawFn, values: st.SearchStrategy[Any] = VALUES) -> Operations:
    """Clients that do one thing at a time; some outcomes nobody knows, and such a client is heard of no more."""
    clients = draw(st.integers(1, 4))
    count = draw(st.integers(1, 10))
    timed = draw(st.booleans())
    free, open_ = list(range(clients)), []
    fresh, clock, asked = clients, 0, 0
    rows: list[dict[str, Any]] = []
    while asked < count or open_:
        clock += draw(st.integers(1, 3))
        if asked < count and free and (not open_ or draw(st.booleans())):
            row = {"process": free.pop(draw(st.integers(0, len(free) - 1))), "invoked": clock, "value": draw(values)}
            row |= {"f": draw(st.integers(0, 1)), "completed": NEVER, "result": None, "ended": NONE}
            rows.append(row)
            open_.append(row)
            asked += 1
            continue
        row = open_.pop(draw(st.integers(0, len(open_) - 1)))
        outcome = draw(st.sampled_from([Outcome.OK, Outcome.OK, Outcome.FAIL, Outcome.INFO]))
        row["outcome"] = outcome
        if outcome == Outcome.INFO:
            free.append(fresh)
            fresh += 1
            row["ended"] = draw(st.sampled_from([NONE, clock]))
        else:
            row["completed"] = row["ended"] = clock
            free.append(row["process"])
        if outcome == Outcome.OK:
            row["result"] = draw(values)
    table = Values()
    invoked, completed = ranks(np.array([r["invoked"] for r in rows]), np.array([r["completed"] for r in rows]))
    return Operations.make(
        process=[row["process"] for row in rows],
        f=[row["f"] for row in rows],
        outcome=[row["outcome"] for row in rows],
        invoked=invoked,
        completed=completed,
        value=[table.number(row["value"]) for row in rows],
        result=[table.number(row["result"]) for row in rows],
        began_ns=[row["invoked"] if timed else NONE for row in rows],
        ended_ns=[row["ended"] if timed else NONE for row in rows],
        line=np.arange(len(rows)) + 1,
        functions=("read", "write"),
        values=table.all,
        marks=tuple(
            Mark(f"start n{n}", rank, 5) for n, rank in enumerate(draw(st.lists(st.integers(0, 20), max_size=2)))
        ),
    )


def told(operations: Operations, *columns: str) -> list[tuple[Any, ...]]:
    """What a history says, operation by operation, with values instead of their numbers and events counted through."""
    invoked, completed = ranks(operations.invoked, operations.completed)
    values = {
        name: [_apart(operations.of_value(n)) for n in getattr(operations, name)] for name in ("key", "value", "result")
    }
    plain = {name: getattr(operations, name).tolist() for name in columns}
    names = [operations.functions[f] for f in operations.f]
    nodes = [operations.nodes[n] if n >= 0 else None for n in operations.node]
    return list(
        zip(
            operations.process.tolist(), names, operations.outcome.tolist(), invoked.tolist(), completed.tolist(),
            values["key"], values["value"], values["result"], nodes, *plain.values(), strict=True,
        )
    )  # fmt: skip


def _apart(value: Any) -> str:
    """A value with its types, so that 1, 1.0 and True differ; text and keywords do not."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_apart, value))})"
    if isinstance(value, frozenset):
        return f"{{{', '.join(sorted(map(_apart, value)))}}}"
    if isinstance(value, Map):
        return f"<{', '.join(sorted(f'{_apart(k)}: {_apart(v)}' for k, v in value.items()))}>"
    return repr(str(value)) if isinstance(value, str) else f"{type(value).__name__} {value!r}"


def again(format: Any, operations: Operations) -> Operations:
    """Written and read again."""
    out = io.BytesIO()
    format.write(operations, out)
    out.seek(0)
    return format.read(out, "again")


def read(format: Any, text: str | bytes) -> Operations:
    """A history from its text."""
    return format.read(io.BytesIO(text.encode() if isinstance(text, str) else text), "file")
