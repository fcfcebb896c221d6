"""Whether a runtime can do what an experiment asks for."""

from __future__ import annotations

from collections.abc import Collection

from chaoskit import registry
from chaoskit.errors import AbilityError
from chaoskit.spec.load import Loaded
from chaoskit.stack.topology import Target

__all__ = ["check_abilities"]

# What only some runtimes can ever do, and which.
_ELSEWHERE = {"stress:memory": "a limit on memory, which Docker and Kubernetes have and plain processes do not"}


def check_abilities(loaded: Loaded, target: Target, interposition: str, abilities: Collection[str]) -> None:
    """See that a runtime can do what the experiment asks for.

    Args:
        abilities: what it can do (`Runtime.abilities()`).

    Raises:
        AbilityError: it cannot do what a fault needs, or the target cannot be interposed that way.
    """
    runtime = loaded.experiment.runtime
    for injection in loaded.experiment.timeline:
        needed = registry.load("fault", injection.fault).needs(injection.parameters)
        missing = sorted(needed - frozenset(abilities))
        if missing:
            place = loaded.entry("timeline", injection.id).place
            others = "".join(f"; {one} takes {_ELSEWHERE[one]}" for one in missing if one in _ELSEWHERE)
            raise AbilityError(
                f"{place.file}:{place.line}:{place.column}: the runtime {runtime} cannot {', '.join(missing)}, "
                f"which {injection.fault} ({injection.id}) needs",
                hint=f"it can {', '.join(sorted(abilities)) or 'nothing'}; use another fault or runtime{others}",
            )
    if target.gossips and interposition == "rewrite":
        raise AbilityError(
            f"addresses of {target.name} cannot be rewritten: its members tell each other theirs (x-chaoskit.gossips)",
            hint="use --interposition hosts; `chaoskit doctor` says whether this machine can",
        )
