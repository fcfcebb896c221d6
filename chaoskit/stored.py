"""Stored runs: found, judged again, reported again, listed. Needs no target and starts nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaoskit.errors import ExitCode, StoreError, UsageError

if TYPE_CHECKING:
    from chaoskit.analysis.model import Analysis
    from chaoskit.store import RunDir

__all__ = ["analyse", "exit_code", "find_run", "read_json", "render", "report", "runs"]


def analyse(run: RunDir | Path | str) -> Analysis:
    """Judge a stored run and write analysis.json; needs no target, works on a run whose engine was killed.

    Raises:
        StoreError: not a run directory, unreadable, or written by a newer version.
    """
    from chaoskit.analysis import analyse as judge
    from chaoskit.store import write_atomic

    folder = _folder(run)
    found = judge(folder)
    write_atomic(folder.file("analysis.json"), found.model_dump_json(indent=1) + "\n")
    return found


def exit_code(analysis: Analysis) -> ExitCode:
    """0, 1 or 3: what the verdicts mean, with `expect:` taken into account."""
    from chaoskit.analysis import exit_code as code

    return code(analysis)


def render(run: RunDir | Path | str, format: str) -> str:
    """One rendering of a stored run: html, md or json.

    Raises:
        StoreError: as for `analyse`. UsageError: no such format.
    """
    return next(_rendered(_folder(run), [format]))[1]


def report(run: RunDir | Path | str, *, formats: Sequence[str] = ("html", "md", "json")) -> list[Path]:
    """Write the report of a stored run into its folder; paths in the order of `formats`.

    Raises:
        StoreError, UsageError: as for `render`.
    """
    from chaoskit.store import write_atomic

    folder = _folder(run)
    written = []
    for format, text in _rendered(folder, formats):
        written.append(folder.file(f"report.{format}"))
        write_atomic(written[-1], text)
    return written


def _rendered(folder: RunDir, formats: Sequence[str]) -> Iterator[tuple[str, str]]:
    """One model, rendered once per format."""
    from pydantic import ValidationError

    from chaoskit.analysis.model import Analysis as Model
    from chaoskit.plan import Plan
    from chaoskit.report import build, render_html, render_json, render_markdown

    renderers = {"html": render_html, "md": render_markdown, "json": render_json}
    wanted = [format.strip() for format in formats]
    for format in wanted:
        if format not in renderers:
            raise UsageError(f"there is no report format {format!r}", hint=f"use one of: {', '.join(renderers)}")
    if not folder.file("analysis.json").exists():
        analyse(folder)
    try:
        analysis = Model.model_validate_json(folder.read_text("analysis.json"))
        plan = Plan.model_validate_json(folder.read_text("plan.json"))
    except ValidationError as error:
        raise StoreError(
            f"{folder.path} is damaged: {error.error_count()} values of {error.title} cannot be read",
            hint="`chaoskit analyse` writes analysis.json anew; plan.json cannot be made again",
        ) from error
    model = build(analysis, plan, read_json(folder, "environment.json"), folder)
    for format in wanted:
        yield format, renderers[format](model)


def find_run(run: Path | str | None, runs: Path | str = "runs") -> RunDir:
    """A stored run by folder, by id, or the newest one.

    Raises:
        UsageError: there is none.
    """
    from chaoskit.store import RunDir

    if run is not None and (Path(run) / "plan.json").exists():
        return RunDir(Path(run))
    folders = sorted((path.parent for path in Path(runs).glob("*/*/plan.json")), key=lambda path: path.name)
    if run is not None:
        folders = [path for path in folders if path.name == str(run) or path.name.endswith(f"-{run}")]
    if not folders:
        what = f"no run {run!s}" if run is not None else "no runs"
        raise UsageError(f"{what} in {runs}", hint="`chaoskit runs` lists what is there")
    return RunDir(folders[-1])


def runs(root: Path | str = "runs") -> list[dict[str, Any]]:
    """Stored runs, newest first. A run that says `running` but whose supervisor is dead is `killed`."""
    from chaoskit.safety.active import running
    from chaoskit.store import RunDir

    alive = {Path(entry.directory) for entry in running()}
    found = []
    for path in Path(root).glob("*/*/run.json"):
        folder = RunDir(path.parent)
        try:
            record = read_json(folder, "run.json")
        except StoreError as error:
            record = {"name": path.parent.parent.name, "status": "unreadable", "error": str(error)}
        status = record.get("status", "unknown")
        if status == "running" and folder.path not in alive:
            status = "killed"
        found.append(
            {
                "run": folder.id,
                "name": record.get("name", ""),
                "status": status,
                "verdict": record.get("verdict") or "-",
                "exit_code": record.get("exit_code") if record.get("exit_code") is not None else "-",
                "directory": str(folder.path),
            }
        )
    return sorted(found, key=lambda entry: str(entry["run"]), reverse=True)


def read_json(folder: RunDir, name: str) -> dict[str, Any]:
    """A JSON object of a run.

    Raises:
        StoreError: missing, damaged, or written by a newer version.
    """
    found: dict[str, Any] = json.loads(folder.read_text(name))
    return found


def _folder(run: RunDir | Path | str) -> RunDir:
    from chaoskit.store import RunDir

    return run if isinstance(run, RunDir) else RunDir(Path(run))
