"""report.json: the model itself."""

from __future__ import annotations

from chaoskit.report.model import ReportModel

__all__ = ["render"]


def render(model: ReportModel) -> str:
    """The model as JSON, with `schema_version` first."""
    return model.model_dump_json(indent=1) + "\n"
