"""What a reader gets: a model in which everything is decided, and renderers that only lay it out.

Imports are inside the functions, so that looking at this package costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chaoskit.analysis.model import Analysis
    from chaoskit.plan import Plan
    from chaoskit.report.model import ReportModel
    from chaoskit.store import RunDir

__all__ = ["build", "render_html", "render_json", "render_markdown"]


def build(analysis: Analysis, plan: Plan, environment: Mapping[str, Any], run: RunDir) -> ReportModel:
    """Decide every number, sentence and figure of a report. Any run length yields one, an empty run included.

    Args:
        environment: the content of environment.json; {} where there is none.
        run: the run directory; only its experiment.yaml and logs are read, and both may be missing.
    """
    from chaoskit.report.assemble import build as make

    return make(analysis, plan, environment, run)


def render_html(model: ReportModel) -> str:
    """One offline HTML file that asks the network for nothing."""
    from chaoskit.report.html import render

    return render(model)


def render_markdown(model: ReportModel) -> str:
    """Markdown for a decision record, a pull request or a job summary."""
    from chaoskit.report.markdown import render

    return render(model)


def render_json(model: ReportModel) -> str:
    """The model itself as JSON with `schema_version`: what report.json holds."""
    from chaoskit.report.json import render

    return render(model)
