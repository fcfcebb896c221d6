"""chaoskit: fault-injection experiments on real stacks, with verdicts that come with evidence.

`import chaoskit` is cheap (no pandas, docker, pydantic, httpx): everything in `__all__` is loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from chaoskit.errors import ChaosKitError, ExitCode

if TYPE_CHECKING:
    from chaoskit.api import analyse, load_plan, run, validate

__version__ = "0.1.0"
__all__ = ["ChaosKitError", "ExitCode", "__version__", "analyse", "load_plan", "run", "validate"]

_LAZY = {"analyse", "load_plan", "run", "validate"}


def __getattr__(name: str) -> Any:
    """Load the public functions of `chaoskit.api` when they are first asked for."""
    if name in _LAZY:
        return getattr(import_module("chaoskit.api"), name)
    raise AttributeError(f"module 'chaoskit' has no attribute {name!r}")
