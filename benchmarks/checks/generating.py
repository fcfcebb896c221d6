"""Big right histories of registers, made with numpy: clients nearly always busy, half of what they do is writing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from chaoskit.history.operation import NONE, Outcome
from chaoskit.history.operations import NEVER, Operations, ranks

READ, WRITE = 0, 1


def busy(count: int, clients: int, keys: int = 1, seed: int = 1, values: int = 0) -> Operations:
    """A linearizable history: every operation takes effect at an instant of its own between invocation and answer.

    Args:
        values: write one of so many values; 0 = every value once.
    """
    random = np.random.default_rng(seed)
    each = -(-count // clients)
    took = random.exponential(1.0, (clients, each)) + 1e-3
    ended = np.cumsum(took + random.exponential(0.05, (clients, each)) + 1e-4, axis=1)
    began = (ended - took).ravel()[:count]
    ended = ended.ravel()[:count]
    process = np.repeat(np.arange(clients), each)[:count]
    write = random.random(count) < 0.5
    key = random.integers(0, keys, count)
    value = np.full(count, NONE, dtype=np.int64)
    stamps = np.arange(np.count_nonzero(write))
    value[write] = random.integers(0, values, len(stamps)) if values else stamps

    effect = began + (ended - began) * random.random(count)
    order = np.lexsort((effect, key))
    place = np.arange(count)
    first = np.searchsorted(key[order], key[order])  # of the same key
    last = np.maximum.accumulate(np.where(write[order], place, NONE))  # write at or before, of any key
    result = np.full(count, NONE, dtype=np.int64)
    result[order] = np.where(last >= first, value[order][last], NONE)
    result[write] = NONE
    began_ns, ended_ns = (began * 1e6).astype(np.int64), (ended * 1e6).astype(np.int64)
    invoked, completed = ranks(began_ns, ended_ns)
    order = np.argsort(invoked)
    return Operations.make(
        process=process[order],
        f=np.where(write, WRITE, READ)[order],
        outcome=np.full(count, Outcome.OK),
        invoked=invoked[order],
        completed=completed[order],
        key=key[order] if keys > 1 else np.full(count, NONE),
        value=value[order],
        result=result[order],
        began_ns=began_ns[order],
        ended_ns=ended_ns[order],
        functions=("read", "write"),
        values=range(max(len(stamps), keys, values)),  # numbers are their own ids, of keys and of values
    )


def for_porcupine(operations: Operations, file: Path) -> None:
    """Write a history as `porcupine/main.go` reads it; nil is -1. An unknown outcome returns after all others."""
    write = operations.f == WRITE
    end = np.where(operations.completed == NEVER, np.int64(1) << 62, operations.completed)
    shown = np.where(write, operations.value, operations.result)
    rows = (operations.process, operations.f, operations.key, shown, np.zeros_like(shown), operations.invoked, end)
    np.stack([column.astype("<i8") for column in rows], axis=1).tofile(file)


def as_edn(operations: Operations, file: Path) -> None:
    """Write a history of one register as Jepsen does, an event a line."""
    names = (":read", ":write")
    invoked, completed = operations.invoked.tolist(), operations.completed.tolist()
    process, f = operations.process.tolist(), operations.f.tolist()
    value, result = operations.value.tolist(), operations.result.tolist()
    began, ended = operations.began_ns.tolist(), operations.ended_ns.tolist()
    events = []
    for at in range(len(operations)):
        asked = "nil" if value[at] == NONE else value[at]
        answered = asked if f[at] == WRITE else "nil" if result[at] == NONE else result[at]
        head = f":process {process[at]}, :f {names[f[at]]}"
        events.append((invoked[at], f"{{:type :invoke, {head}, :value {asked}, :time {began[at]}"))
        events.append((completed[at], f"{{:type :ok, {head}, :value {answered}, :time {ended[at]}"))
    events.sort()
    with open(file, "w") as out:
        out.writelines(f"{text}, :index {index}}}\n" for index, (_, text) in enumerate(events))
