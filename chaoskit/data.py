"""The base of all frozen data that is written to disk: validated on the way in, exact on the way out."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from chaoskit.files import SCHEMA_VERSION

__all__ = ["SCHEMA_VERSION", "Frozen"]


class Frozen(BaseModel):
    """Immutable record. `model_dump_json()` / `model_validate_json()` round-trip it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True, ser_json_inf_nan="strings")
