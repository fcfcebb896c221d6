"""The same book of operations as in the unit tests of the checks."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _unit() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "unit" / "checks" / "conftest.py"
    spec = importlib.util.spec_from_file_location("chaoskit_test_book", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def new_book() -> Any:
    return _unit().Book
