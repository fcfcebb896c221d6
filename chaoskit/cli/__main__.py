"""Where the process begins and ends: every error becomes a sentence and an exit code, never a traceback."""

from __future__ import annotations

import errno
import gc
import os
import sys

from chaoskit.errors import ChaosKitError, ExitCode

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the `chaoskit` command; ends the process with an exit code of docs/cli.md."""
    # Starting makes objects by the ten thousand that stay to the end: to look through them every 700 finds nothing.
    gc.set_threshold(50_000)
    # Else pydantic asks every installed package for plugins. What a target runs does not inherit this.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if sys.stdout is None:  # it was closed: `>&-`
        sys.stdout = open(os.open(os.devnull, os.O_WRONLY), "w", closefd=False)
    code = int(call(sys.argv[1:] if arguments is None else arguments))
    if not _written(tell=code == ExitCode.OK) and code == ExitCode.OK:
        code = int(ExitCode.ENVIRONMENT)
    sys.exit(code)


def call(arguments: list[str]) -> ExitCode | int:
    """Run one command line and return its exit code; errors are printed on stderr."""
    try:
        from chaoskit.cli.app import app
        from chaoskit.cli.shell import command_line

        found = command_line(app)(args=arguments, prog_name="chaoskit", standalone_mode=False)
        return found if isinstance(found, int) else ExitCode.OK
    except ChaosKitError as error:
        from chaoskit.cli.output import complain

        complain(error, machine="--json" in arguments)
        return error.exit_code
    except BrokenPipeError:  # `chaoskit runs | head`: the reader has enough
        from chaoskit.cli.output import mute

        mute()
        return ExitCode.OK
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201 - nothing may be imported any more
        return ExitCode.INTERRUPTED
    except Exception as error:
        return _foreign(error)


def _foreign(error: Exception) -> int:
    """Usage errors of the argument parser, and our bugs."""
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if isinstance(code, int):  # click's ClickException, Exit and Abort
        if callable(show):
            show(file=sys.stderr)
        return code
    if type(error).__name__ == "Abort":
        return ExitCode.INTERRUPTED
    if isinstance(error, OSError) and not _written(tell=True):
        return ExitCode.ENVIRONMENT
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        print(f"error: cannot write: {error.strerror}\n  next: free disk space", file=sys.stderr)  # noqa: T201
        return ExitCode.ENVIRONMENT
    from chaoskit.cli.output import confess

    confess(error)
    return ExitCode.INTERNAL


def _written(tell: bool) -> bool:
    """Whether stdout took all that was printed (a reader that has had enough, `| head`, is no error)."""
    try:
        sys.stdout.flush()
    except OSError as error:
        from chaoskit.cli import output  # here only: as a rule nobody waits for it

        output.mute()
        if not isinstance(error, BrokenPipeError):
            if tell:
                output.complain(output.unwritable(error))
            return False
    return True


if __name__ == "__main__":
    main()
