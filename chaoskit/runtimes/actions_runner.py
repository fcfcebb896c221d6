"""Calls one function of a target's actions file, in a process of its own: `python -m chaoskit.runtimes.actions_runner`.

Arguments: two descriptors, of memory files that this process has alone with whoever started it. Out of the first comes
the request (JSON: `file`, `function`, `arguments`, `place`), into the second goes the answer (JSON: `text`, or `error`
with the user's line). What the function prints goes to the log; nothing that it does to stdout can harm the answer.

With `every` and `seconds` in the request the function is called again and again; each answer is a line then, with the
instants `asked_ns` and `answered_ns`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Place", "main"]

_MODULE = "chaoskit_actions"
_LONGEST = 10_000  # characters of an answer


@dataclass(frozen=True)
class Place:
    """What a function of the target is told about the stack that is up.

    Attributes:
        real: "node:port" -> "host:port" of the endpoint itself, past every link (ports as in the Compose file): an
            action is not what is tested, and must work while links are cut.
        nodes: names of the nodes, without clients. data: node -> its data folder.
        folder: of the target.
    """

    real: Mapping[str, str]
    nodes: Sequence[str]
    data: Mapping[str, str]
    folder: str


def main(arguments: Sequence[str]) -> int:
    """Call the function; 0 when there is an answer, also when it is an error."""
    with open(int(arguments[0])) as asked:
        request: dict[str, Any] = json.load(asked)
    out = int(arguments[1])
    os.set_inheritable(out, False)
    named = ", ".join(f"{name}={value!r}" for name, value in request["arguments"].items())
    print(f"-- {request['function']}({named})", file=sys.stderr, flush=True)  # noqa: T201 - the log of all calls
    if "every" not in request:
        os.write(out, json.dumps(_answer(request)).encode())
        return 0
    end = time.monotonic() + float(request["seconds"])
    while time.monotonic() < end:
        begin = time.monotonic_ns()
        line = {"asked_ns": begin, **_answer(request), "answered_ns": time.monotonic_ns()}
        os.write(out, json.dumps(line).encode() + b"\n")
        time.sleep(float(request["every"]))
    return 0


def _answer(request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"text": _call(request)}
    except BaseException as error:  # SystemExit too: it is no answer
        traceback.print_exc()
        return {"error": f"{_worded(error)}{_line(error, request['file'])}"[:_LONGEST]}


def _call(request: Mapping[str, Any]) -> str | None:
    function = getattr(_module(request["file"]), request["function"], None)
    if not callable(function):
        raise TypeError(f"{Path(request['file']).name} has no function {request['function']}()")
    found = function(Place(**request["place"]), **request["arguments"])
    if inspect.isawaitable(found):
        found = asyncio.run(_awaited(found))
    if found is not None and not isinstance(found, str):
        raise TypeError(f"{request['function']}() returned {type(found).__name__}: text or None is expected")
    return None if found is None else found[:_LONGEST]


async def _awaited(found: Any) -> Any:
    return await found


@cache
def _module(path: str) -> Any:
    """The user's file, imported once; modules beside it can be imported by it."""
    file = Path(path)
    spec = importlib.util.spec_from_file_location(_MODULE, file)
    if spec is None or spec.loader is None:
        raise TypeError(f"{file} is not Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module  # dataclasses of the user's look here
    sys.path.insert(0, str(file.parent))
    spec.loader.exec_module(module)
    return module


def _worded(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def _line(error: BaseException, file: str) -> str:
    """Where in the user's file it was, innermost."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" ({Path(file).name}:{lines[-1]})" if lines else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
