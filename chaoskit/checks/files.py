"""Histories in files, judged: read, checked, and told as data."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from chaoskit import registry
from chaoskit.checks.checking import Checked, check, find_model, without
from chaoskit.checks.power import Power
from chaoskit.checks.result import Anomaly, Options
from chaoskit.checks.suggesting import Suggestion, contents, suggest
from chaoskit.errors import ChaosKitError, ExitCode, StoreError
from chaoskit.files import replacing
from chaoskit.history.interchange.open import open_history
from chaoskit.history.keyed import looks_keyed, split_keys
from chaoskit.history.operations import Operations

__all__ = ["FileCheck", "check_file", "export_file", "formats", "models", "read_file"]

_CODES = {"held": ExitCode.OK, "refuted": ExitCode.REFUTED, "inconclusive": ExitCode.INCONCLUSIVE}


@dataclass(frozen=True, eq=False)
class FileCheck:
    """What came of one file.

    Attributes:
        file: as it was named; "-" is standard input. format: that it was read as.
        operations: all that is in the file; None where it could not be read.
        checked: the verdict; None where no model was asked for, or the file could not be judged.
        suggestions: what could be checked, where no model was asked for.
        error: why it could not be read, or not be judged by this model.
        seconds: from the file to the verdict; power not included.
    """

    file: str
    format: str = ""
    operations: Operations | None = None
    checked: Checked | None = None
    suggestions: tuple[Suggestion, ...] = ()
    error: ChaosKitError | None = None
    seconds: float = 0.0

    @property
    def exit_code(self) -> ExitCode:
        """0 held, 1 refuted, 3 inconclusive or nothing asked for, else that of the error."""
        if self.error is not None:
            return self.error.exit_code
        return _CODES[self.checked.result.verdict] if self.checked is not None else ExitCode.INCONCLUSIVE

    def summary(self) -> dict[str, Any]:
        """For `--json`; every key is in docs/outputs.md."""
        made: dict[str, Any] = {"file": self.file, "format": self.format or None}
        if self.error is not None:
            return {**made, "verdict": None, "error": self.error.summary()}
        assert self.operations is not None
        if self.checked is None:
            return {
                **made,
                "verdict": "inconclusive",
                "reason": "no model was given",
                "operations": len(self.operations),
                "contents": contents(self.operations),
                "could_check": [
                    {"model": one.model, "levels": list(one.levels), "why": one.why, "against": list(one.against)}
                    for one in self.suggestions
                ],
                "notes": list(self.operations.notes),
            }
        result = self.checked.result
        return {
            **made,
            "model": result.model,
            "consistency": result.level or None,
            "verdict": result.verdict,
            "reason": "; ".join(result.reasons) or None,
            "exact": result.exact,
            "anomalies": [_anomaly(self.checked.operations, one) for one in result.anomalies],
            "operations": result.operations,
            "exposed": result.exposed,
            "power": _power(self.checked.power) if self.checked.power is not None else None,
            "refuted": result.refuted,
            "not_refuted": result.not_refuted,
            "numbers": {name: _number(value) for name, value in result.numbers.items()},
            "notes": [*self.operations.notes, *result.notes],
            "seconds": round(self.seconds, 6),
        }


def read_file(
    file: str,
    *,
    format: str = "auto",
    keyed: bool | None = None,
    ignore: Collection[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Operations, str]:
    """The operations of a file, and the format that it was read as.

    Args:
        file: path, or "-" for standard input. format: a registered name, or `auto`: by what is in the file.
        keyed: True: every value is `[key value]`; False: none is; None: where they can be nothing else.
        ignore: functions whose operations are left out; how many is said in the notes.
        progress: told (bytes read, of all).

    Raises:
        HistoryError: it cannot be read, or it is impossible; names the line.
    """
    found, name = open_history(file, format, progress=progress)
    operations = without(found, ignore)
    if keyed is None and looks_keyed(operations):
        note = "values were taken for [key value], because every read asks for [key nil]; --no-keyed takes them whole"
        operations = split_keys(operations)
        return operations.altered(notes=(*operations.notes, note)), name
    return split_keys(operations) if keyed else operations, name


def check_file(
    file: str,
    model: str | None = None,
    options: Options = Options(),
    *,
    format: str = "auto",
    keyed: bool | None = None,
    ignore: Collection[str] = (),
    with_power: bool | None = None,
    min_power: float | None = None,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> FileCheck:
    """Read a file and judge it; with no model, say what could be checked. Arguments as for `read_file` and `check`.

    Raises:
        UsageError: no such model, format or level. HistoryError: the file cannot be read, or is not about this model.
    """
    found = find_model(model) if model is not None else None
    began = time.perf_counter()
    told = None if progress is None else partial(progress, "reading")
    operations, name = read_file(file, format=format, keyed=keyed, ignore=ignore, progress=told)
    read = time.perf_counter() - began
    if found is None:
        return FileCheck(file, name, operations, suggestions=suggest(operations, options), seconds=read)
    checked = check(
        operations,
        found,
        options,
        with_power=with_power,
        min_power=min_power,
        seed=seed,
        progress=progress,
    )
    return FileCheck(file, name, operations, checked, seconds=read + checked.seconds)


def export_file(
    file: str,
    to: str,
    output: Path | None,
    *,
    format: str = "auto",
    keyed: bool | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[str, ...]:
    """Write a history in another format; returns what that format cannot carry, in words.

    Args:
        to: name of the format. output: where to; None = standard output.

    Raises:
        UsageError: no such format. HistoryError: the file cannot be read. StoreError: it cannot be written.
    """
    writer = registry.load("format", to)
    told = None if progress is None else partial(progress, "reading")
    operations, _ = read_file(file, format=format, keyed=keyed, progress=told)
    try:
        if output is None:
            lost = tuple(writer.write(operations, sys.stdout.buffer))
            sys.stdout.buffer.flush()
            return lost
        if output.exists() and not output.is_file():  # /dev/null, a pipe: written to, never replaced
            with open(output, "wb") as stream:
                return tuple(writer.write(operations, stream))
        with replacing(output, "free space, or name another file") as temporary, open(temporary, "wb") as stream:
            return tuple(writer.write(operations, stream))
    except BrokenPipeError:  # the reader has had enough: nothing is wrong with the file
        raise
    except OSError as error:
        where = "standard output" if output is None else output
        raise StoreError(f"cannot write to {where}: {error.strerror or error}") from error


def models() -> list[tuple[str, str]]:
    """Every model by name, with what it is about and which levels it judges."""
    found = []
    for name in registry.names("model"):
        model = find_model(name)
        levels = f" ({', '.join(model.levels)})" if model.levels else ""
        found.append((name, f"{model.summary}{levels}"))
    return found


def formats() -> list[tuple[str, str]]:
    """Every format by name, with what it cannot carry when it is written."""
    found = []
    for name in registry.names("format"):
        lost = registry.load("format", name).cannot_carry
        found.append((name, f"cannot carry: {'; '.join(lost)}" if lost else "carries all"))
    return found


def _anomaly(operations: Operations, one: Anomaly) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "count": one.count,
        "level": one.level,
        "witness": [int(operations.index[position]) for position in one.witness],
        "lines": [int(operations.line[position]) for position in one.witness if operations.line[position] > 0],
        "sentence": one.sentence,
    }


def _power(power: Power) -> dict[str, Any]:
    return {
        "kinds": [
            {"kind": one.kind, "struck": one.struck, "found": one.found, "legal": one.legal, "share": one.share}
            for one in power.strikes
        ],
        "least": power.least.share if power.least is not None else None,
        "notes": list(power.notes),
    }


def _number(value: float) -> float | str | None:
    """JSON knows neither infinity nor "not a number"."""
    number = float(value)
    return number if math.isfinite(number) else None if math.isnan(number) else str(number)
