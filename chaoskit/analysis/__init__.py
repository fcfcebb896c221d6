"""What was measured, decided and frozen: `analyse(run) -> Analysis`, and the exit code that follows from it."""

from chaoskit.analysis.run import analyse, exit_code

__all__ = ["analyse", "exit_code"]
