"""Model `cas-register`: as `register`, with compare-and-set. Exact where every value is written once."""

from __future__ import annotations

from chaoskit.checks.bugs import BLIND_CAS, REGISTERS
from chaoskit.checks.models.register import RegisterModel

__all__ = ["MODEL"]

MODEL = RegisterModel(
    name="cas-register",
    summary="read, write and cas [old new] of one value per key: a cas succeeds exactly where it finds the old value",
    functions=frozenset({"read", "write", "cas"}),
    alterations=(*REGISTERS, BLIND_CAS),
)
