"""The end of the report: how well the harness did, every window as numbers, environment and log tails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chaoskit.analysis.model import Analysis, CellAnalysis
from chaoskit.report.model import Fact, LogTail, RawTable
from chaoskit.report.text import duration, number, plain, share
from chaoskit.store import RunDir
from chaoskit.units import format_rate

__all__ = ["facts", "harness", "harness_problems", "log_tails", "read_start", "window_tables"]

_MOST_ROWS = 400  # of all window tables together; report.json and analysis.json have the rest
_TAIL_LINES = 30
_TAIL_BYTES = 6144
_MOST_LOGS = 16
_WINDOW_COLUMNS = (
    "window", "class", "interval", "due", "ok", "fail", "info", "yes", "late", "refused", "silent", "accused",
    "not sent", "rate", "goodput", "yield", "p50", "p90", "p95", "p99", "p99.9", "max", "service p50", "service p99",
)  # fmt: skip


def harness(analysis: Analysis) -> RawTable:
    """How well the harness did, cell by cell."""
    columns = (
        "variant", "trial", "operations", "not sent", "send error p50", "send error p99",
        "worker lag", "proxy lag", "engine overhead", "ran to its end",
    )  # fmt: skip
    rows = tuple(
        (
            cell.variant,
            str(cell.trial),
            number(cell.operations),
            number(cell.unsent),
            duration(cell.send_error_p50),
            duration(cell.send_error_p99),
            duration(cell.worker_lag_max),
            duration(cell.proxy_lag_max),
            duration(cell.overhead),
            "yes" if cell.complete else "no",
        )
        for cell in analysis.cells
    )
    return RawTable(
        title="How well the harness did",
        columns=columns,
        rows=rows,
        numeric=(False, *(True,) * 8, False),
        note="Send error is how late an operation left after it was due; lags are the largest seen.",
    )


def harness_problems(analysis: Analysis) -> tuple[str, ...]:
    """Why whole cells are inconclusive: the harness's or the environment's trouble, not the system's."""
    found = []
    for cell in analysis.cells:
        name = f"{cell.variant}, trial {cell.trial}"
        reasons = cell.reasons or (("it did not run to its end",) if not cell.complete else ())
        found += [f"{name}: {reason}" for reason in reasons]
    return tuple(found)


def window_tables(analysis: Analysis) -> tuple[RawTable, ...]:
    """All window statistics, one table per cell."""
    tables, left = [], _MOST_ROWS
    for cell in analysis.cells:
        rows = tuple(_window_rows(cell))
        if not rows or left <= 0:
            continue
        tables.append(
            RawTable(
                title=f"Windows of {cell.variant}, trial {cell.trial} (seed {cell.seed})",
                columns=_WINDOW_COLUMNS,
                rows=rows[:left],
                numeric=(False, False, *(True,) * 22),
                note="Latency from the due time, service time from the send; nearest rank."
                + (f" {number(len(rows) - left)} rows are only in analysis.json." if len(rows) > left else ""),
            )
        )
        left -= len(rows)
    return tuple(tables)


def _window_rows(cell: CellAnalysis) -> Iterator[tuple[str, ...]]:
    for stats in cell.stats:
        response, service = stats.response, stats.service
        counts = (
            stats.intended, stats.ok, stats.fail, stats.info, stats.yes, stats.late, stats.refused, stats.silent,
            stats.accused, stats.unsent,
        )  # fmt: skip
        quantiles = (
            response.p50, response.p90, response.p95, response.p99, response.p999, response.maximum,
            service.p50, service.p99,
        )  # fmt: skip
        yield (
            stats.window.name,
            "all" if stats.cls == "*" else stats.cls,
            f"{stats.window.start:.2f}–{stats.window.end:.2f} s",
            *(number(count) for count in counts),
            format_rate(stats.rate),
            format_rate(stats.goodput),
            share(stats.yield_),
            *(duration(value) for value in quantiles),
        )


def facts(data: Mapping[str, Any], prefix: str = "") -> Iterator[Fact]:
    """A nested mapping as flat names and values."""
    for key, value in data.items():
        # Names of environment variables stay as they are.
        name = prefix + (str(key).replace("_", " ") if str(key).islower() else str(key))
        if isinstance(value, Mapping):
            yield from facts(value, f"{name} · ")
        elif isinstance(value, list | tuple):
            yield Fact(name=name, value=" ".join(str(item) for item in value))
        elif name.endswith(" bytes") and isinstance(value, int):
            yield Fact(name=name.removesuffix(" bytes"), value=f"{value / 2**30:.1f} GiB")
        elif value is not None:
            yield Fact(name=name, value=str(value))


def log_tails(run: RunDir) -> tuple[LogTail, ...]:
    """The last lines of every node's log. A log that cannot be read is left out: a report never fails for one."""
    tails: list[LogTail] = []
    for path in sorted(run.path.glob("blocks/*/logs/*")):
        try:
            if len(tails) == _MOST_LOGS or not path.is_file():
                continue
            size, text = _read_tail(path)
        except OSError:
            continue
        lines = text.splitlines()[-_TAIL_LINES:]
        note = "" if len(text.encode()) >= size and len(lines) < _TAIL_LINES else f"last lines of {number(size)} bytes"
        name = f"{path.parents[1].name} / {path.name.removesuffix('.log')}"
        tails.append(LogTail(name=name, lines=plain("\n".join(lines), lines=True, longest=_TAIL_BYTES), note=note))
    return tuple(tails)


def _read_tail(path: Path) -> tuple[int, str]:
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _TAIL_BYTES))
        return size, file.read(_TAIL_BYTES).decode("utf-8", "replace")


def read_start(path: Path, most: int) -> bytes:
    """The beginning of a file, empty when there is none."""
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except OSError:
        return b""
