"""What a target declares that it can be told and asked: each call in a process of its own, with a deadline.

The user's code never runs in the supervisor: it may hang, raise, leak or end the process, and healing must not wait
for it. Its process dies with the supervisor like a node's, and so does everything that it starts.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections.abc import Mapping
from typing import Any

from chaoskit.contracts import Sighting
from chaoskit.errors import InternalError, LinkError
from chaoskit.runtimes.following import EVERY, Follower
from chaoskit.runtimes.launched import Launched
from chaoskit.stack.launch import LaunchSpec, StackSpec
from chaoskit.stack.topology import ActionSpec, RoleSpec

__all__ = ["Actions"]

_LONGEST = 1 << 20  # bytes of an answer
_START = 20.0  # seconds for a process to start on a busy machine


class Actions:
    """Of one stack that is up; None = no stack is. See the contract `ActionControl`."""

    def __init__(self, stack: StackSpec | None) -> None:
        self._stack = stack
        self._calls: dict[int, Launched] = {}
        self._followers: dict[str, Follower] = {}
        self._starting = asyncio.Lock()
        self._number = itertools.count(1)

    async def run(self, action: str, arguments: Mapping[str, str], timeout: float) -> str:
        """Do it; the text that it returned. Arguments that it does not take are left out: an undo gets those of its
        action.

        Raises:
            LinkError: it failed, or took longer than `timeout` seconds.
        """
        spec = next((one for one in self._up().actions if one.name == action), None)
        if spec is None:
            raise LinkError(f"the target has no action {action!r}", hint="declare it under x-chaoskit: actions")
        taken = {name: value for name, value in arguments.items() if name in spec.arguments}
        return await self._call(f"action {action}", spec, taken, timeout) or ""

    async def ask(self, role: str) -> str | None:
        """The node that holds a role now; None while nobody does.

        Raises:
            LinkError: the target's function failed, took too long, or named no node that can hold the role.
        """
        spec = self._role(role)
        holder = await self._call(f"role {role}", spec, {}, spec.timeout)
        if holder is not None and holder not in spec.nodes:
            raise LinkError(
                f"role {role}: {spec.function}() says {holder!r}, which is none of {', '.join(spec.nodes)}",
                hint="let it return the name of a node, or None while nobody holds the role",
            )
        return holder

    async def follow(self, role: str, seconds: float) -> list[Sighting]:
        """Ask again and again who holds a role; what was answered so far. 0 seconds: stop.

        Raises:
            LinkError: no answer came in time.
        """
        if seconds <= 0:
            ended = self._followers.pop(role, None)
            if ended is not None:
                await ended.stop()
            return []
        spec = self._role(role)
        async with self._starting:
            if role not in self._followers:
                request, caller = self._request(spec, {}), self._caller(f"role {role}")
                call, out = await _started(caller, {**request, "every": EVERY, "seconds": seconds})
                self._followers[role] = Follower(f"role {role}", spec.nodes, call, out)
        return await self._followers[role].sightings(spec.timeout + _START)

    async def end_all(self) -> list[Exception]:
        """Kill every call under way; what went wrong on the way."""
        problems: list[Exception] = []
        ends = [*(call.kill for call in self._calls.values()), *(one.stop for one in self._followers.values())]
        self._followers.clear()
        for end in ends:
            try:
                await end()
            except Exception as error:
                problems.append(error)
        return problems

    async def _call(
        self, what: str, spec: ActionSpec | RoleSpec, arguments: Mapping[str, str], timeout: float
    ) -> str | None:
        """Call the function; the text that it returned, None for none."""
        caller = self._caller(what)
        answer, ending = await self._process(caller, self._request(spec, arguments), timeout)
        hint = f"see {caller.log}"
        if ending == "late":
            raise LinkError(f"{what}: {spec.function}() took longer than {timeout:g} s and was killed", hint=hint)
        if answer is None:
            raise LinkError(f"{what}: {spec.function}() ended its process ({ending}) before it returned", hint=hint)
        if "error" in answer:
            raise LinkError(f"{what} failed: {answer['error']}", hint=hint)
        text = answer.get("text")
        return None if text is None else str(text)

    async def _process(
        self, caller: LaunchSpec, request: Mapping[str, Any], timeout: float
    ) -> tuple[dict[str, Any] | None, str]:
        """The answer, None where there is none; and how the process ended."""
        number = next(self._number)
        call, out = await _started(caller, request)
        self._calls[number] = call
        try:
            code = await call.ended(timeout)
            raw = os.pread(out, _LONGEST, 0)
        except TimeoutError:
            return None, "late"
        finally:
            self._calls.pop(number, None)
            os.close(out)
        ending = f"exit code {code}" if code >= 0 else f"signal {-code}"
        try:
            found = json.loads(raw)
        except ValueError:
            return None, ending
        return (found if isinstance(found, dict) else None), ending

    def _role(self, role: str) -> RoleSpec:
        spec = next((one for one in self._up().roles if one.name == role), None)
        if spec is None:
            raise LinkError(f"the target has no role {role!r}", hint="declare it under x-chaoskit: roles")
        return spec

    def _caller(self, what: str) -> LaunchSpec:
        caller = self._up().caller
        if caller is None:
            raise InternalError(f"{what} cannot be called: the stack says nothing about how")
        return caller

    def _request(self, spec: ActionSpec | RoleSpec, arguments: Mapping[str, str]) -> dict[str, Any]:
        stack = self._up()
        return {
            "file": spec.file,
            "function": spec.function,
            "arguments": dict(arguments),
            "place": {
                "real": stack.real,
                "nodes": [node.name for node in stack.nodes],
                "data": {node.name: node.data for node in stack.nodes if node.data is not None},
                "folder": "" if stack.caller is None else stack.caller.cwd,
            },
        }

    def _up(self) -> StackSpec:
        if self._stack is None:
            raise LinkError("nothing can be asked of the target: no stack is up")
        return self._stack


async def _started(caller: LaunchSpec, request: Mapping[str, Any]) -> tuple[Launched, int]:
    """A process that was given the request, and the descriptor of the memory file that it answers in, which is the
    caller's to close."""
    asked, out = os.memfd_create("request"), os.memfd_create("answer")
    try:
        with open(asked, "w", closefd=False) as file:
            json.dump(request, file)
        os.lseek(asked, 0, os.SEEK_SET)
        argv = (*caller.argv, str(asked), str(out))
        return await Launched.start(caller.model_copy(update={"argv": argv}), pass_fds=[asked, out]), out
    except BaseException:
        os.close(out)
        raise
    finally:
        os.close(asked)
