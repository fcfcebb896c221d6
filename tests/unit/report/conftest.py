"""The sample run, loaded by path because tests are no packages."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from chaoskit.report import build
from chaoskit.report.model import ReportModel
from chaoskit.store import RunDir


def _load() -> ModuleType:
    name = "chaoskit_report_sample"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("sample.py"))
        assert spec is not None and spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def sample() -> ModuleType:
    return _load()


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    run: RunDir = _load().stored(tmp_path_factory.mktemp("report") / "run")
    return run


@pytest.fixture(scope="session")
def model(stored: RunDir) -> ReportModel:
    made = _load()
    return build(made.analysis(), made.plan(), made.ENVIRONMENT, stored)


@pytest.fixture(scope="session")
def empty(stored: RunDir) -> ReportModel:
    made = _load()
    return build(made.empty(), made.plan(), {}, RunDir(stored.path / "nothing-here"))
