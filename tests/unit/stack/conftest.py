"""A target that is right, to be broken in one place at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from chaoskit.errors import Problem
from chaoskit.stack.compose import read_target
from chaoskit.stack.topology import Target

COMPOSE = """\
services:
  db:
    image: "${POSTGRES_IMAGE:-postgres:18}"
    environment: {POSTGRES_USER: app, POSTGRES_PORT: 5432}
  cache: {image: valkey}
  api:
    build: .
    environment:
      DATABASE_URL: postgresql://app@db:5432/app
      CACHE_URL: redis://cache:6379
    depends_on: [db, cache]
x-chaoskit:
  entry: api
  process:
    db: {server: postgres}
    cache: {server: valkey}
    api: {command: [python, -m, app, --host, "${NODE_HOST}"], port: 8000, health_path: /health}
  workloads:
    shorten:
      file: workload.py
      classes: {create: write, resolve: {kind: read, weight: 4}}
      invariants: [immutable]
"""
WORKLOAD = "def workload():\n    raise RuntimeError('never run while reading')\n"

ReadTarget = Callable[..., tuple[Target | None, list[Problem]]]


@pytest.fixture
def compose() -> str:
    return COMPOSE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty target folder with a workload."""
    place = tmp_path / "shop"
    place.mkdir()
    (place / "workload.py").write_text(WORKLOAD)
    return place


@pytest.fixture
def read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ReadTarget:
    """Read text as compose.yaml of a target; problems name it `compose.yaml`."""
    monkeypatch.chdir(folder)

    def read(text: str, environ: Mapping[str, str] | None = None) -> tuple[Target | None, list[Problem]]:
        (folder / "compose.yaml").write_text(text)
        return read_target(folder, environ or {})

    return read
