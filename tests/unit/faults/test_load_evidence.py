"""Evidence of stress: what was burnt against what was asked, from rows of the supervisor; in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from chaoskit.faults.evidence import load
from chaoskit.faults.evidence.kinds import sight_of
from chaoskit.faults.evidence.scene import Scene
from chaoskit.stack.effects import Evidence, burners_of


class Machine:
    """Two burners and a node; `share` is what each burner has of a processor, `waiting` what the node waits."""

    def __init__(self, share: float, waiting: float = 0.3) -> None:
        self.share, self.waiting, self.now, self.burning, self.known = share, waiting, 100.0, True, True

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def pids(self, name: str) -> Sequence[Mapping[str, object]]:
        def row(pid: int, cpu: float, waited: float) -> dict[str, object]:
            known = self.known
            used = {"cpu_s": cpu if known else None, "waited_s": waited if known else None}
            return {"pid": pid, "outer": pid, "state": "R", "command": "x", **used}

        if name == burners_of("db"):
            return [row(n, self.now * self.share, 0.0) for n in (7, 8)] if self.burning else []
        return [row(1, 5.0, self.now * (self.waiting if self.burning else 0.01))]


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(machine: Machine, asked: float) -> Any:
        monkeypatch.setattr(load.asyncio, "sleep", machine.sleep)
        monkeypatch.setattr(load.time, "monotonic", lambda: machine.now)
        scene = Scene({}, machine.pids, lambda: None)  # type: ignore[arg-type, return-value]
        return sight_of(Evidence(kind="stress", node="db", expected=asked), scene)

    return make


def looked(sight: Any, times: int) -> Any:
    async def main() -> Any:
        await sight.before(1.0)
        for _ in range(times - 1):
            await sight.seen()
        return await sight.seen()

    return asyncio.run(main())


def test_what_is_burnt_is_seen_with_what_the_node_feels(look: Any) -> None:
    found = looked(look(Machine(share=0.5), 1.0), 3)
    assert found.seen
    assert found.text == (
        "db: asked 1 processor, burnt 1.00 ± 0.00; its processes waited 300 ms per second for one, 300 ms before"
    )


@pytest.mark.parametrize(("share", "seen"), [(0.26, True), (0.24, False), (0.0, False)])
def test_half_of_what_was_asked_is_the_least(look: Any, share: float, seen: bool) -> None:
    assert looked(look(Machine(share=share), 1.0), 6).seen is seen


def test_too_few_samples_prove_nothing(look: Any) -> None:
    assert not looked(look(Machine(share=1.0), 1.0), 2).seen


def test_samples_that_spread_widely_prove_nothing(look: Any) -> None:
    machine = Machine(share=0.5)
    sight = look(machine, 1.0)

    async def main() -> Any:
        for share in (0.9, 0.01, 0.7, 0.05):
            machine.share = share
            offset = machine.now
            found = await sight.seen()
            machine.now = offset + 1
        return found

    assert not asyncio.run(main()).seen


def test_burners_that_are_gone_and_kernels_that_do_not_count(look: Any) -> None:
    machine = Machine(share=0.5)
    machine.known = False
    found = looked(look(machine, 1.0), 4)
    assert not found.seen and "does not count it" in found.text
    machine.burning = False
    found = looked(look(machine, 1.0), 4)
    assert not found.seen and "nobody burns any" in found.text


def test_gone_when_nobody_burns(look: Any) -> None:
    machine = Machine(share=0.5)
    sight = look(machine, 1.0)
    assert not asyncio.run(sight.gone()).seen
    machine.burning = False
    assert asyncio.run(sight.gone()).seen


def test_an_action_that_was_confirmed_is_done(look: Any) -> None:
    scene = Scene({}, Machine(0.0).pids, lambda: None)  # type: ignore[arg-type, return-value]
    sight = sight_of(Evidence(kind="done"), scene)
    assert asyncio.run(sight.seen()).seen and asyncio.run(sight.gone()).seen
    assert "what it changed was not looked at" in asyncio.run(sight.seen()).text
