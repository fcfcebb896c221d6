"""All subjects and mutants: every module of this folder that has SUBJECTS or MUTANTS."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

from histories.comparing import Subject
from histories.mutation import Mutant

__all__ = ["mutants", "subjects"]

_TOOLS = {"brute", "simulate", "comparing", "mutation", "catalogue", "files", "hostile", "scripts"}


def _all(name: str) -> list[Any]:
    found = []
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if module.name not in _TOOLS:
            found += getattr(importlib.import_module(f"histories.{module.name}"), name, [])
    return found


def subjects() -> list[Subject]:
    """What is compared with brute force."""
    return _all("SUBJECTS")


def mutants() -> list[Mutant]:
    """What the comparison must find out."""
    return _all("MUTANTS")
