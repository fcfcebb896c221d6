"""Model `register`: every key is read and written as if it were in one place. Exact where values are unique."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.checks.bugs import REGISTERS
from chaoskit.checks.judging_registers import judge
from chaoskit.checks.levels import OBJECTS
from chaoskit.checks.register_levels import WHOLE, judge_level
from chaoskit.checks.result import Alteration, Options, Result
from chaoskit.history.operations import Operations

__all__ = ["MODEL", "RegisterModel"]


@dataclass(frozen=True)
class RegisterModel:
    """Reads and writes of registers.

    Attributes:
        functions: `cas-register` is the same model with one function more.
    """

    name: str = "register"
    summary: str = "read and write of one value per key: every read answers the last write"
    functions: frozenset[str] = frozenset({"read", "write"})
    levels: tuple[str, ...] = OBJECTS[::-1]
    alterations: tuple[Alteration, ...] = REGISTERS
    per_key: bool = True
    across_keys: frozenset[str] = WHOLE

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history; see `chaoskit.checks.judging_registers`, and `register_levels` for the weaker levels."""
        level = options.consistency
        if level is None or level == "linearizable":
            return judge(self.name, self.functions, operations, options)
        return judge_level(self.name, self.functions, operations, options, level)


MODEL = RegisterModel()
