"""An engine for tests: starts a supervisor, brings a stack up, injects, and then does what its stdin says.

Arguments: one JSON object. Prints JSON lines: `ready` when the faults are active, then every event and answer.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from chaoskit.errors import ChaosKitError
from chaoskit.safety.session import Supervisor
from chaoskit.stack.effects import Effect
from chaoskit.stack.launch import StackSpec
from chaoskit.store import RunDir

STACK: list[StackSpec] = []
EFFECTS: TypeAdapter[list[Effect]] = TypeAdapter(list[Effect])


def say(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)


async def main(options: dict[str, Any]) -> None:
    supervisor = Supervisor()
    run = RunDir(Path(options["run"]))
    run.path.mkdir(parents=True, exist_ok=True)
    effects = EFFECTS.validate_python(options["effects"])
    stack = StackSpec.model_validate(options["stack"])
    STACK.append(stack)
    worker = stack.clients["client"].model_copy(update={"name": "worker", "log": stack.nodes[0].log + ".worker"})
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def tell() -> None:
        while True:
            say(**await supervisor.events.get())

    telling = asyncio.create_task(tell())
    try:
        await supervisor.start(
            run,
            runtime=options["runtime"],
            deadline_s=options["deadline_s"],
            pid_namespace=options["pid_namespace"],
            silence_s=options["silence_s"],
        )
        ready = await supervisor.up(stack)
        await supervisor.spawn(worker)
        began = 0
        if effects:
            began = await supervisor.begin(effects, time.monotonic_ns() + round(options["hold_s"] * 1e9))
        say(event="ready", supervisor=supervisor.pid, private=supervisor.private, ready=ready, confirmed_ns=began)
        while line := (await reader.readline()).decode().split():
            say(**await obey(supervisor, line, effects))
            if line[0] == "bye":
                break
    except ChaosKitError as error:
        say(event="error", type=type(error).__name__, message=error.message, code=error.exit_code)
    finally:
        telling.cancel()
        if sys.exc_info()[0] is None:
            try:
                await supervisor.bye()
                say(event="over")
            except ChaosKitError as error:
                say(event="left", type=type(error).__name__, message=error.message)


async def obey(supervisor: Supervisor, line: list[str], effects: list[Effect]) -> dict[str, Any]:
    try:
        if line[0] == "begin":
            return {"answer": await supervisor.begin(effects, time.monotonic_ns() + round(float(line[1]) * 1e9))}
        if line[0] == "end":
            return {"answer": await supervisor.end([effect.id for effect in effects])}
        if line[0] == "pids":
            return {"answer": await supervisor.pids(line[1])}
        if line[0] == "stop":
            await supervisor.stop(line[1])
        elif line[0] == "down":
            await supervisor.down()
        elif line[0] == "garbage":
            supervisor._writer.write(b"\x00\xff what is this\n")  # type: ignore[union-attr]
        elif line[0] == "restart-the-stack":
            starting = asyncio.create_task(supervisor.up(STACK[0]))
            await asyncio.sleep(float(line[1]))
            await supervisor.down()
            try:
                await starting
            except ChaosKitError as error:
                return {"answer": "cut short", "type": type(error).__name__}
        elif line[0] == "hang":
            time.sleep(float(line[1]))
        return {"answer": line[0]}
    except ChaosKitError as error:
        return {"answer": "error", "type": type(error).__name__, "message": error.message, "hint": error.hint}


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
