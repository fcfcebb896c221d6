"""`stress`: a node has to share its processors. A noisy neighbour, a backup job, a container with too small a quota."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, WithJsonSchema, model_validator

from chaoskit.faults.model import Compiled, Fault, FaultParameters, Ground, Where
from chaoskit.spec.types import Size
from chaoskit.stack.effects import Evidence, StressEffect

__all__ = ["FAULT", "Stress", "StressParameters"]

_LEAST, _MOST = 0.05, 1024.0  # processors: less drowns in what the machine does anyway
_SHARE = r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*"


def _processors(value: Any) -> float:
    """2, 0.5 or "50%" (of one processor)."""
    share = re.fullmatch(_SHARE, value) if isinstance(value, str) else None
    if share is not None:
        found = float(share[1]) / 100
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a number of processors; write it like 1, 0.5 or 50%")
    else:
        found = float(value)
    if not _LEAST <= found <= _MOST:
        raise ValueError(f"{value!r} is not a number of processors from {_LEAST:g} to {_MOST:g}")
    return found


Processors = Annotated[
    float,
    BeforeValidator(_processors),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": _LEAST, "maximum": _MOST},
                {"type": "string", "pattern": f"^{_SHARE}$"},
            ],
            "description": "processors: 1, 0.5, or 50% of one",
        }
    ),
]


class StressParameters(FaultParameters):
    """`cpu` processors are burnt beside each node, on those that its processes may use; `memory` is taken from it."""

    cpu: Processors | None = None
    memory: Size | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.cpu is None and self.memory is None:
            raise ValueError("cpu is missing: stress needs to know how many processors to burn, such as cpu: 1")
        return self


class Stress(Fault[StressParameters]):
    """Processes of ours burn what is asked, at the node's own priority; the kernel shares the processors out."""

    name = "stress"
    summary = "processors are burnt beside the node, so that it has to wait for them"
    Parameters = StressParameters
    targets = "nodes"
    abilities = frozenset({"stress:cpu"})

    def needs(self, parameters: Mapping[str, Any]) -> frozenset[str]:
        """Memory can be taken only where a node has a limit of its own: else it would be everybody's."""
        return frozenset(f"stress:{name}" for name in ("cpu", "memory") if parameters.get(name) is not None)

    def describe(self, parameters: StressParameters, where: Where) -> str:
        """What a client sees."""
        cpu = parameters.cpu or 0.0
        burnt = (
            "a processor is" if cpu == 1 else f"{cpu:g} processors are" if cpu > 1 else f"{cpu:.0%} of a processor is"
        )
        return f"{burnt} burnt beside {where.names}, which get{where.s} what is left"

    def compile(self, injection: str, parameters: Mapping[str, Any], ground: Ground) -> Compiled:
        """One effect and one piece of evidence per node."""
        values = self.stored(parameters)
        nodes, cpu = (ground.nodes if values.cpu is not None else ()), values.cpu or 0.0
        return Compiled(
            effects=tuple(
                StressEffect(id=f"{injection}/{number}", injection=injection, node=node, cpu=cpu)
                for number, node in enumerate(nodes, 1)
            ),
            evidence=tuple(Evidence(kind="stress", node=node, expected=cpu) for node in nodes),
            sentence=self.describe(values, Where.of(list(ground.nodes))),
        )


FAULT = Stress()
