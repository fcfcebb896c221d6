"""The sample run, and reports of it."""

from __future__ import annotations

from types import ModuleType

import pytest
import report_sample

from chaoskit.report import build
from chaoskit.report.model import ReportModel
from chaoskit.store import RunDir


@pytest.fixture(scope="session")
def sample() -> ModuleType:
    return report_sample


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return report_sample.stored(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture(scope="session")
def model(stored: RunDir) -> ReportModel:
    return build(report_sample.analysis(), report_sample.plan(), report_sample.ENVIRONMENT, stored)


@pytest.fixture(scope="session")
def empty(stored: RunDir) -> ReportModel:
    return build(report_sample.empty(), report_sample.plan(), {}, RunDir(stored.path / "nothing-here"))
