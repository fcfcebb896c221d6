"""Model `register`: every key is read and written as if it were in one place. Exact where values are unique."""

from __future__ import annotations

from dataclasses import dataclass

from chaoskit.checks.bugs import REGISTERS
from chaoskit.checks.judging_registers import judge
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
    levels: tuple[str, ...] = ("linearizable",)
    alterations: tuple[Alteration, ...] = REGISTERS
    per_key: bool = True

    def check(self, operations: Operations, options: Options) -> Result:
        """Judge a history; see `chaoskit.checks.judging_registers`."""
        return judge(self.name, self.functions, operations, options)


MODEL = RegisterModel()
