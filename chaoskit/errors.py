"""The error tree and the exit codes: whose fault it is, and what to do next.

Every message says what happened, where, why, and the next step. Foreign exceptions are mapped to one of these at the
border where they appear; nothing above the border catches a library's own exception types.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

__all__ = [
    "AbilityError",
    "AbortedError",
    "ChaosKitError",
    "CheckerError",
    "EnvironmentFault",
    "ExitCode",
    "HealError",
    "HistoryError",
    "InternalError",
    "Interrupted",
    "LeftoverError",
    "LinkError",
    "PlanError",
    "Problem",
    "SpecError",
    "SteadyStateError",
    "StoreError",
    "TargetError",
    "UsageError",
    "worst",
]


class ExitCode(IntEnum):
    """What the process exit code means. Interface: scripts and CI depend on it."""

    OK = 0  # all claims held, or all came out as `expect:` says
    REFUTED = 1  # a claim was refuted, or something came out otherwise than expected
    USAGE = 2  # usage, spec or plan error: nothing was started
    INCONCLUSIVE = 3  # nothing refuted, something inconclusive
    ENVIRONMENT = 4  # the environment or the target did not start
    UNHEALED = 5  # could not heal, or leftovers of an earlier run
    NOT_STEADY = 6  # the steady state was not met before the fault: the experiment was not run
    INTERNAL = 70  # our bug
    INTERRUPTED = 130  # SIGINT, and healed
    TERMINATED = 143  # SIGTERM, and healed


_SEVERITY = [
    ExitCode.UNHEALED,
    ExitCode.INTERNAL,
    ExitCode.INTERRUPTED,
    ExitCode.TERMINATED,
    ExitCode.REFUTED,
    ExitCode.ENVIRONMENT,
    ExitCode.NOT_STEADY,
    ExitCode.INCONCLUSIVE,
    ExitCode.OK,
]


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """The code to exit with when several apply: 5 > 70 > 130, 143 > 1 > 4 > 6 > 3 > 0 (2 comes alone)."""
    found = set(codes)
    if ExitCode.USAGE in found:
        return ExitCode.USAGE
    return next((code for code in _SEVERITY if code in found), ExitCode.OK)


class ChaosKitError(Exception):
    """Base of all errors that chaoskit raises on purpose.

    Args:
        message: what happened, where and why, in one or two sentences.
        hint: the next step, as an imperative sentence; printed on a line of its own.
    """

    exit_code: ExitCode = ExitCode.INTERNAL

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  next: {self.hint}"

    def summary(self) -> dict[str, Any]:
        """For machines: `type`, `message` and `hint`."""
        return {"type": type(self).__name__, "message": self.message, "hint": self.hint}


class Problem(NamedTuple):
    """One mistake in a file the user wrote. Lines and columns count from 1; 0 = the file as a whole."""

    file: str
    line: int
    column: int
    what: str
    why: str = ""
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return (
            f"{place}: {self.what}" + (f" ({self.why})" if self.why else "") + (f"; {self.hint}" if self.hint else "")
        )


class UsageError(ChaosKitError):
    """The command line was wrong. The user's to mend; nothing was started."""

    exit_code = ExitCode.USAGE


class SpecError(ChaosKitError):
    """An experiment, Compose file or override is wrong; carries all problems found. The user's to mend."""

    exit_code = ExitCode.USAGE

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def summary(self) -> dict[str, Any]:
        """The same with `problems`, one object each."""
        return {**super().summary(), "problems": [problem._asdict() for problem in self.problems]}


class PlanError(ChaosKitError):
    """The spec is well formed but cannot be carried out as written. The user's to mend; nothing was started."""

    exit_code = ExitCode.USAGE


class AbilityError(PlanError):
    """The chosen runtime cannot do what the experiment asks for (found while planning)."""


_LONGEST = 1000  # characters


class HistoryError(ChaosKitError):
    """A history cannot be read, or no set of clients could have produced it. Nothing is concluded from it.

    Args:
        file: as the user named it. line: from 1; 0 = the file as a whole. what: what was found, and what was expected;
            it quotes the file, and what is longer than anybody reads is cut.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, file: str, line: int, what: str, *, hint: str | None = None) -> None:
        what = what if len(what) <= _LONGEST else f"{what[:_LONGEST]} …"
        self.file, self.line, self.what = file, line, what
        super().__init__(f"{file}:{line}: {what}" if line > 0 else f"{file}: {what}", hint=hint)

    def summary(self) -> dict[str, Any]:
        """The same with `file` and `line`."""
        return {**super().summary(), "file": self.file, "line": self.line}


class EnvironmentFault(ChaosKitError):
    """The machine lacks something, or a server of ours did not start. The environment's fault."""

    exit_code = ExitCode.ENVIRONMENT


class TargetError(EnvironmentFault):
    """A node of the target did not start, bound the wrong address or exited. The target's fault."""


class StoreError(EnvironmentFault):
    """A run directory cannot be written or read (disk full, permission, newer version)."""


class SteadyStateError(ChaosKitError):
    """The steady state was not met before any fault: says nothing about the claims."""

    exit_code = ExitCode.NOT_STEADY


class LinkError(ChaosKitError):
    """A link could not be read or bent as asked: the cell is inconclusive."""

    exit_code = ExitCode.INCONCLUSIVE


class CheckerError(ChaosKitError):
    """A checker crashed or gave up: its claim is inconclusive, never held."""

    exit_code = ExitCode.INCONCLUSIVE


class AbortedError(ChaosKitError):
    """An `abort` condition of the experiment came true: healed, and the cell is inconclusive."""

    exit_code = ExitCode.INCONCLUSIVE


class HealError(ChaosKitError):
    """A fault could not be taken back. The loudest error there is."""

    exit_code = ExitCode.UNHEALED


class LeftoverError(HealError):
    """An earlier run left something behind; says which command heals it."""


class Interrupted(ChaosKitError):
    """The user (SIGINT) or the system (SIGTERM) ended the run; everything is healed."""

    exit_code = ExitCode.INTERRUPTED


class InternalError(ChaosKitError):
    """Our bug: please report it with the run directory."""
