"""JSON Schema draft-07 of experiment files, for editors: printed from the same tables that `load.py` reads by.

Draft-07, because that is what editors' YAML language servers document; `$id` is the version of the format.
"""

from __future__ import annotations

from typing import Any

from chaoskit.spec.surface import EXPERIMENT

__all__ = ["SCHEMA_ID", "schema"]

SCHEMA_ID = "urn:chaoskit:experiment:v1"


def schema() -> dict[str, Any]:
    """The schema as plain data. What only the target knows (services, classes) it cannot say: `validate` does."""
    made = EXPERIMENT.schema()
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": SCHEMA_ID,
        "title": "chaoskit experiment",
        "description": "A question put to a target: variants, traffic, faults on a timeline, and claims.",
        **made,
    }
