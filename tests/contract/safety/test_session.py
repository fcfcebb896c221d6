"""The engine's side of the supervisor, in this process: starts that fail, ends that come twice."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from chaoskit.errors import ChaosKitError, EnvironmentFault, InternalError, StoreError
from chaoskit.safety.active import running
from chaoskit.safety.session import Supervisor
from chaoskit.store import RunDir


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDir:
    monkeypatch.setenv("CHAOSKIT_STATE", str(tmp_path / "state"))
    return RunDir.create(tmp_path / "runs", "trial")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_start_and_bye_leave_no_descriptor_and_no_process(run: RunDir) -> None:
    async def main() -> None:
        supervisor = Supervisor()
        await supervisor.bye()  # nothing was started
        await supervisor.start(run, deadline_s=60.0, pid_namespace="never")
        assert [entry.run for entry in running()] == [run.id] and running()[0].engine[0] == os.getpid()
        with pytest.raises(InternalError, match="no stack is up"):
            await supervisor.end(["x"])
        assert await supervisor.pids("db") == []
        await supervisor.beat(120.0)
        await supervisor.down()
        await supervisor.bye()
        await supervisor.bye()
        assert running() == [] and supervisor.events.empty() and not supervisor.dead
        with pytest.raises(EnvironmentFault):
            await supervisor.down()

    asyncio.run(main())  # whatever is opened once and kept (the event loop's own) is open now
    before = descriptors()
    asyncio.run(main())
    assert descriptors() == before


def test_state_that_cannot_be_written_is_said_before_anything_runs(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAOSKIT_STATE", "/proc/chaoskit")

    async def main() -> ChaosKitError:
        supervisor = Supervisor()
        with pytest.raises(EnvironmentFault) as caught:
            await supervisor.start(run, deadline_s=60.0)
        await supervisor.bye()
        return caught.value

    error = asyncio.run(main())
    assert "no folder for the state" in error.message and error.hint is not None and "CHAOSKIT_STATE" in error.hint


def test_run_directory_that_is_gone(run: RunDir) -> None:
    run.path.rmdir()

    async def main() -> None:
        supervisor = Supervisor()
        with pytest.raises(StoreError, match=r"supervisor\.log"):
            await supervisor.start(run, deadline_s=60.0)
        await supervisor.bye()

    asyncio.run(main())


def test_ledger_that_cannot_be_opened(run: RunDir) -> None:
    run.file("ledger.jsonl").mkdir()

    async def main() -> None:
        supervisor = Supervisor()
        with pytest.raises(EnvironmentFault, match=r"ledger\.jsonl"):
            await supervisor.start(run, deadline_s=60.0, pid_namespace="never")
        await supervisor.bye()

    asyncio.run(main())
    assert running() == [] and not list((run.path.parents[2] / "state" / "active").iterdir())


def test_unknown_runtime_is_said_by_name(run: RunDir) -> None:
    from chaoskit.stack.launch import LaunchSpec, StackSpec

    launch = LaunchSpec(name="x", argv=("true",), cwd="/", log=str(run.file("x.log")))
    stack = StackSpec(
        interposition="hosts",
        nodes=(),
        proxies=(),
        proxy_process=launch,
        control="",
        clients={"client": launch},
        entries={"client": ""},
        canaries={},
    )

    async def main() -> None:
        supervisor = Supervisor()
        await supervisor.start(run, runtime="no-such", deadline_s=60.0, pid_namespace="never")
        try:
            with pytest.raises(ChaosKitError, match="no driver called 'no-such'"):
                await supervisor.up(stack)
        finally:
            await supervisor.bye()

    asyncio.run(main())
