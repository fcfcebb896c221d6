"""The doctor always has an answer, and a remedy wherever something is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chaoskit.runtimes import doctor
from chaoskit.runtimes.doctor import Fact, facts


def by_name() -> dict[str, Fact]:
    return {fact.name: fact for fact in facts()}


def test_what_is_looked_at(machine: Callable[[bool], None]) -> None:
    machine(True)
    found = by_name()
    assert {"python", "/proc", "interposition", "PID namespaces", "postgres", "valkey", "address leases"} <= set(found)
    assert found["python"].ok
    assert "18" in found["postgres"].detail


def test_what_is_missing_comes_with_a_remedy(
    machine: Callable[[bool], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine(False)
    monkeypatch.setattr("chaoskit.runtimes.servers.postgres.find_spec", lambda _: None)
    monkeypatch.setattr(doctor, "free_leases", lambda: 0)
    monkeypatch.setattr(doctor, "_ROOM", 10**18)
    missing = [fact for fact in facts(tmp_path) if not fact.ok]
    assert {fact.name for fact in missing} == {
        "interposition",
        "PID namespaces",
        "postgres",
        "address leases",
        "room for runs",
    }
    assert all(fact.detail and fact.remedy for fact in missing)


def test_a_look_that_fails_is_a_fact(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = {fact.name: fact for fact in facts(tmp_path / "none")}
    assert not found["room"].ok
    assert "No such file" in found["room"].detail
