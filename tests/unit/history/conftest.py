from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chaoskit.history.spool import SpoolWriter

Op = dict[str, object]


@pytest.fixture
def write_spool() -> Callable[..., None]:
    """Writes operations (dicts: key, value, result, f, due, closed, process, parent ...) as one worker would."""

    def write(
        folder: Path, operations: list[Op], worker: int = 0, classes: tuple[str, ...] = ("a", "b"), origin: int = 1000
    ) -> None:
        spool = SpoolWriter(folder, worker, nodes=("client", "api"), classes=classes)
        spool.set_origin(origin)
        for op in operations:
            key, value, result = (
                -1 if op.get(name) is None else spool.intern(str(op[name])) for name in ("key", "value", "result")
            )
            common = {
                "key": key,
                "value_id": value,
                "t_due": int(str(op.get("due", 0))),
                "t_sent": int(str(op.get("sent", -1))),
                "phase": int(str(op.get("phase", 1))),
                "attempt": int(str(op.get("attempt", 0))),
                "parent": int(str(op.get("parent", -1))),
                "bytes_out": 11,
            }
            index = spool.open(
                process=int(str(op.get("process", 0))),
                source=0,
                node=1,
                cls=int(str(op.get("cls", 0))),
                f=spool.function(str(op["f"])) if op.get("f") is not None else -1,
                **common,
            )
            if op.get("closed", True):
                spool.close_row(
                    index,
                    result_id=result,
                    t_first=-1,
                    t_end=int(str(op.get("end", 5))),
                    bytes_in=22,
                    status=int(str(op.get("status", 200))),
                    error=int(str(op.get("error", 0))),
                    outcome=int(str(op.get("outcome", 1))),
                    answer=int(str(op.get("answer", 1))),
                    **common,
                )
        spool.close()

    return write
