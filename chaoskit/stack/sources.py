"""Python files of a target, looked into without running them: that they are there, parse, and define what is named."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

from chaoskit.errors import Problem
from chaoskit.spec.nodes import Place

__all__ = ["Function", "defined", "function_of", "parsed"]

_MAX_BYTES = 1024 * 1024
Function = ast.FunctionDef | ast.AsyncFunctionDef


def parsed(
    file: Path, noun: str, place: Place, shown: Callable[[Path], str], problems: list[Problem]
) -> ast.Module | None:
    """The syntax tree of a file, None with the problem on record when there is none.

    Args:
        noun: what the file is, "the workload's file". place: where it is named.
        shown: how a path is called in problems.
    """
    try:
        if file.exists() and not file.is_file():
            raise ValueError("it is not a regular file")
        if file.stat().st_size > _MAX_BYTES:
            raise ValueError("it is larger than 1 MiB")
        return ast.parse(file.read_bytes(), filename=str(file))
    except OSError as error:
        problems.append(place.problem(f"{noun} {file.name!r} cannot be read", f"{file}: {error.strerror}"))
    except SyntaxError as error:
        problems.append(Problem(shown(file), error.lineno or 0, error.offset or 0, f"is not Python: {error.msg}"))
    except (ValueError, RecursionError, MemoryError) as error:
        problems.append(Problem(shown(file), 0, 0, f"is not Python: {error}"))
    return None


def defined(tree: ast.Module) -> list[str]:
    """What a module defines, assigns or imports at its top level."""
    found: list[str] = []
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.append(statement.name)
        elif isinstance(statement, ast.Assign):
            found += [target.id for target in statement.targets if isinstance(target, ast.Name)]
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found.append(statement.target.id)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            found += [alias.asname or alias.name for alias in statement.names]
    return found


def function_of(tree: ast.Module, name: str) -> Function | None:
    """The function that a module defines under a name at its top level, the last one as Python sees it; None where the
    name is bound otherwise."""
    found = [one for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name == name]
    return found[-1] if found else None
