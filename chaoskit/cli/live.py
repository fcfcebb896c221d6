"""What a run looks like while it goes on: a live view on a terminal, plain lines in a pipe, JSON lines on request.

All three are Observers of the same events; none of them can slow a run down (they only format what they are told).
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from chaoskit.cli.output import say
from chaoskit.errors import StoreError
from chaoskit.units import format_duration, format_share

if TYPE_CHECKING:
    from rich.console import RenderableType

    from chaoskit.contracts import Observer

__all__ = ["EventFile", "LiveView", "PlainLines", "observers"]


@contextmanager
def observers(*, events: str | None, quiet: bool) -> Iterator[list[Observer]]:
    """The observers that the options and the terminal ask for, closed at the end on every path.

    Raises:
        StoreError: the events file cannot be opened.
    """
    found: list[Observer] = []
    with ExitStack() as stack:
        if events == "-":
            found.append(EventFile(sys.stdout))
        elif events is not None:
            try:
                found.append(EventFile(stack.enter_context(Path(events).open("w", encoding="utf-8"))))
            except OSError as error:
                raise StoreError(f"cannot write events to {events}: {error.strerror or error}") from error
        if not quiet:
            if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
                found.append(stack.enter_context(LiveView()))
            else:
                found.append(PlainLines())
        yield found


class EventFile:
    """Every event as one JSON line, flushed at once so that it can be piped."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def event(self, event: Mapping[str, Any]) -> None:
        """Write one line; `live` events too, they are how a dashboard follows a run."""
        self._file.write(json.dumps(event, separators=(",", ":"), default=str) + "\n")
        self._file.flush()


def sentence(event: Mapping[str, Any]) -> str | None:
    """One plain line for an event worth one, else None."""
    kind, cell = event.get("kind"), event.get("cell")
    where = f"[{cell}] " if cell else ""
    match kind:
        case "run":
            about = format_duration(event["estimated_s"])
            return f"{event['name']}: {event['question']} ({event['cells']} cells, about {about})"
        case "phase":
            planned = event.get("planned_s")
            return f"{where}{event['name']}" + (f", {format_duration(planned)}" if planned else "")
        case "up":
            ready = ", ".join(f"{name} {format_duration(seconds)}" for name, seconds in event["ready"].items())
            return f"{where}stack is up ({event['interposition']}): {ready}"
        case "begin":
            return f"{where}fault begins: {event.get('sentence', event['id'])}"
        case "end":
            return f"{where}fault ends: {event['id']}"
        case "seen" | "gone":
            words = "seen to bite" if kind == "seen" else "seen to be gone"
            return f"{where}{event['id']} {words}: {_few(event['evidence'])}"
        case "unseen" | "stayed":
            words = "NOT seen to bite" if kind == "unseen" else "NOT seen to be gone"
            return f"{where}{event['id']} {words}: {_few(event.get('missing') or event['evidence'])}"
        case "placed":
            return f"{where}{event['id']}: the {event['role']} is {event['holder']}"
        case "moved":
            return f"{where}{event['id']}: the {event['role']} moved from {event['holder']} to {event['now']} meanwhile"
        case "unplaced":
            return f"{where}{event['id']} is NOT known to be where it should: {event['reason']}"
        case "leaked":
            whose = event["source"] or "somebody"
            return f"{where}LEAKED: {whose} is connected to {event['destination']} past its link"
        case "steady":
            return f"{where}steady state: {event['text']}"
        case "exit":
            return f"{where}{event['name']} ended by itself (code {event['code']})"
        case "abort" | "interrupted" | "error" | "note":
            return f"{where}{kind}: {event['reason']}"
    return None


class PlainLines:
    """One line per phase and per thing that happened: for pipes, logs and CI."""

    def event(self, event: Mapping[str, Any]) -> None:
        """Print the event if it is worth a line."""
        line = sentence(event)
        if line is not None:
            say(line)


class LiveView:
    """A few lines at the bottom of the terminal that are redrawn; what is worth keeping scrolls by above them."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True, highlight=False)
        self._now: Mapping[str, Any] = {}
        self._title = ""
        self._live = Live(console=self._console, refresh_per_second=8, transient=True, get_renderable=self._draw)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def event(self, event: Mapping[str, Any]) -> None:
        """Take over the newest figures, or print a line above the view."""
        if event.get("kind") == "live":
            self._now = event
            return
        if event.get("kind") == "phase":
            self._now = {
                **self._now,
                "phase": event["name"],
                "left_s": event.get("planned_s"),
                "cell": event.get("cell"),
            }
            return
        line = sentence(event)
        if line is not None:
            from rich.text import Text

            self._console.print(Text(line, style="dim" if event["kind"] not in _LOUD else "bold magenta"))

    def _draw(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        now = self._now
        if not now:
            return Text("starting …", style="dim")
        head = Text.assemble(
            (f" {now.get('cell') or ''} ", "reverse"),
            " ",
            (str(now.get("phase", "")), "bold"),
            _countdown(now.get("left_s")),
        )
        lines: list[RenderableType] = [head]
        if "rate" in now:
            counts = Text(f"  {now['rate']:.0f}/s   ")
            counts.append(f"ok {now['ok']:,}", "blue").append(f"   fail {now['fail']:,}", "magenta")
            counts.append(f"   info {now['info']:,}", "yellow")
            p50, p99 = _time(now.get("p50")), _time(now.get("p99"))
            counts.append(f"   last second: yield {_share(now.get('yield'))}, p50 {p50}, p99 {p99}")
            lines.append(counts)
        lines += [Text(f"  ⚡ {text}", "bold magenta") for text in now.get("active", ())]
        lines += [_claim(claim) for claim in now.get("claims", ())]
        return Group(*lines)


_LOUD = {"unseen", "stayed", "unplaced", "leaked", "abort", "interrupted", "error", "exit"}
_FEW = 3  # pieces of evidence in one line; the report has all of them


def _few(texts: Sequence[str]) -> str:
    more = len(texts) - _FEW
    return "; ".join(texts[:_FEW]) + (f"; and {more} more" if more > 0 else "")


def _countdown(left: float | None) -> str:
    return f"  {format_duration(round(left))} left" if left is not None and left > 0.5 else ""


def _share(value: float | None) -> str:
    return "n/a" if value is None else format_share(value)


def _time(value: float | None) -> str:
    return "n/a" if value is None else format_duration(value)


def _claim(claim: Mapping[str, Any]) -> Any:
    from rich.text import Text

    style = {"holds": "blue", "broken": "magenta"}.get(str(claim["state"]), "dim")
    return Text(f"  {claim['state']:<8} {claim['id']}: {claim['text']}", style)
