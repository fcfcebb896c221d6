"""Loads the user's workload file, and shows the user's part of a traceback: never ours, never the machinery's."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from pathlib import Path

from chaoskit.contracts import Workload
from chaoskit.errors import TargetError

__all__ = ["load_workload", "user_text"]

_MODULE = "chaoskit_workload"
_HINT = "docs/workloads.md shows a whole workload"


def load_workload(file: Path, factory: str) -> Workload:
    """Import `file` and call `factory()` in it. Modules beside the file can be imported by it.

    Raises:
        TargetError: no such file, it raised, or what it made is not a Workload; with the user's traceback.
    """
    if not file.is_file():
        raise TargetError(f"there is no workload file {file}", hint="name it in x-chaoskit, relative to compose.yaml")
    spec = importlib.util.spec_from_file_location(_MODULE, file)
    if spec is None or spec.loader is None:
        raise TargetError(f"the workload file {file} is not Python", hint=_HINT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[_MODULE] = module  # dataclasses and pickles of the user's look here
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:  # SystemExit too: a script that was taken for a workload
        raise TargetError(f"the workload {file} cannot be imported:\n{user_text(error, file)}", hint=_HINT) from error
    make = getattr(module, factory, None)
    if not callable(make):
        raise TargetError(f"the workload {file} has no function {factory}()", hint=_HINT)
    try:
        made = make()
    except BaseException as error:
        raise TargetError(f"{factory}() in {file} raised:\n{user_text(error, file)}", hint=_HINT) from error
    if not isinstance(made, Workload):
        missing = [name for name in ("perform", "final") if not hasattr(made, name)]
        raise TargetError(
            f"{factory}() in {file} made a {type(made).__name__} without {' and '.join(missing)}()", hint=_HINT
        )
    if not inspect.iscoroutinefunction(made.perform):
        raise TargetError(f"perform() of {type(made).__name__} in {file} must be `async def`", hint=_HINT)
    return made


def user_text(error: BaseException, file: Path) -> str:
    """The traceback from the first frame of the user's file on; the error alone when it never got there."""
    frames = traceback.extract_tb(error.__traceback__)
    for number, frame in enumerate(frames):
        if frame.filename == str(file):
            lines = traceback.format_list(frames[number:])
            return "".join([*lines, *traceback.format_exception_only(error)]).rstrip()
    return "".join(traceback.format_exception_only(error)).rstrip()
