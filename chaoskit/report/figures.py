"""Interactive figures as Plotly's own JSON, drawn by the page when they scroll into view.

They show what the static pictures show, to be zoomed and hovered. Plain dicts: the Python side of Plotly is not needed
to write them, and a colour is written as `var(--name)`, which the page replaces by the reader's scheme.
"""

from __future__ import annotations

import gzip
import html
import importlib.util
import re
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from chaoskit.errors import EnvironmentFault
from chaoskit.report.model import QUANTILES, ReportModel, Timeline
from chaoskit.report.series import thinned

__all__ = ["CONFIG", "Bundle", "bundle", "figures"]

# Plotly 7 would put a "share" button that uploads into every chart, and link to its site.
CONFIG: dict[str, Any] = {
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
}
_POINTS = 1000  # a line: a page of four variants must stay below 3 MB
_PATTERNS = {"ok": "", "late": ".", "info": "-", "fail": "/"}
_LINES = {"p50": ("dot", 1.2), "p95": ("dash", 1.4), "p99": ("solid", 2.0)}
_DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Bundle:
    """plotly.js of the installed package.

    Attributes:
        packed: gzip + base64 (2 MB).
        guards: ids of elements whose presence keeps it from adding the style sheet of maps, which are not drawn here
            and which the page's content security policy would refuse.
    """

    packed: str
    guards: tuple[str, ...]


@cache
def bundle() -> Bundle:
    """The one bundle of the wheel.

    Raises:
        EnvironmentFault: the package is broken.
    """
    found = importlib.util.find_spec("plotly")
    places = found.submodule_search_locations if found else None
    try:
        raw = Path((places or [""])[0], "package_data", "plotly.min.js").read_bytes()
    except OSError as error:
        raise EnvironmentFault(
            f"cannot read plotly.js: {error}", hint="install plotly again: pip install --force-reinstall plotly"
        ) from error
    guards = {match.decode() for match in re.findall(rb'getElementById\("([0-9a-f]{64})"\)', raw)}
    return Bundle(b64encode(gzip.compress(raw, 9, mtime=0)).decode(), tuple(sorted(guards)))


def figures(model: ReportModel) -> list[dict[str, Any]]:
    """All interactive figures, each with `id`, `title`, `alt`, `height` (pixels), `data` and `layout`."""
    found = [_timeline(thinned(timeline, _POINTS)) for timeline in model.timelines]
    if model.quantiles:
        found.append(_quantiles(model))
    return found


def _timeline(timeline: Timeline) -> dict[str, Any]:
    # Beginning and step instead of a list: the same for all seven lines, and the page must stay small.
    at = {"x0": round(timeline.start + timeline.step / 2, 4), "dx": timeline.step}
    data: list[dict[str, Any]] = [
        {
            "type": "bar",
            "name": name,
            **at,
            "y": list(getattr(timeline, name)),
            "width": timeline.step,
            "marker": {
                "color": f"var(--{name})",
                "line": {"width": 0},
                "pattern": {
                    "shape": _PATTERNS[name],
                    "fillmode": "overlay",
                    "fgcolor": "var(--card)",
                    "size": 6,
                    "solidity": 0.25,
                },
            },
            "hovertemplate": f"%{{x:.1f}} s: %{{y:.1f}}/s {name}<extra></extra>",
        }
        for name in _PATTERNS
        if any(getattr(timeline, name))
    ]
    for name, (dash, width) in _LINES.items():
        values = [None if value is None else round(value * 1000, 3) for value in getattr(timeline, name)]
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                **at,
                "y": values,
                "yaxis": "y2",
                "line": {"dash": dash, "width": width, "color": "var(--ink)"},
                "hovertemplate": f"%{{x:.1f}} s: {name} %{{y:.3g}} ms<extra></extra>",
            }
        )
    end = timeline.start + timeline.step * len(timeline.ok)
    shapes = [_band(band.start, band.end if band.end is not None else end) for band in timeline.bands if band.began]
    shapes += [
        {
            "type": "line",
            "xref": "x",
            "yref": "y2",
            "x0": limit.start,
            "x1": limit.end,
            "y0": limit.value * 1000,
            "y1": limit.value * 1000,
            "line": {"color": "var(--limit)", "width": 1.5, "dash": "dash"},
        }
        for limit in timeline.limits
    ]
    began = [band for band in timeline.bands if band.began]
    notes = [
        # One above the other: on a narrow screen labels side by side would meet.
        _note(band.label, band.start, 1.0, yref="paper", yanchor="bottom", yshift=15 * i)
        for i, band in enumerate(began)
    ]
    layout = _layout(top=30 + 15 * len(notes)) | {
        "barmode": "stack",
        "bargap": 0,
        "xaxis": _axis("seconds since the timeline began") | {"anchor": "y2", "range": [timeline.start, end]},
        "yaxis": _axis("per second") | {"domain": [0.56, 1.0], "rangemode": "tozero"},
        "yaxis2": _axis("latency, ms") | {"domain": [0.0, 0.46], "type": "log", "dtick": "D2"},
        "shapes": shapes,
        "annotations": notes,
    }
    return {
        "id": f"live-{timeline.anchor}",
        "title": f"Timeline of {timeline.variant}",
        "alt": timeline.description,
        "height": 460,
        "data": data,
        "layout": layout,
    }


def _quantiles(model: ReportModel) -> dict[str, Any]:
    """How the tail grows: one line per variant and phase. Colour and marker tell variants, dashes tell phases."""
    variants = list(model.variants)
    phases = list(model.phases)
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "connectgaps": True,
            "name": _safe(f"{line.variant}, {line.phase}"),
            "x": list(QUANTILES),
            "y": [None if value is None else round(value * 1000, 3) for value in line.values],
            "line": {
                "color": f"var(--v{variants.index(line.variant) % 4})",
                "dash": _DASHES[phases.index(line.phase) % 4],
            },
            "marker": {
                "symbol": ["square", "diamond", "triangle-up", "triangle-down"][variants.index(line.variant) % 4]
            },
            "hovertemplate": "%{x}: %{y:.3g} ms<extra>%{fullData.name}</extra>",
        }
        for line in model.quantiles
    ]
    layout = _layout() | {
        "xaxis": _axis("quantile") | {"type": "category"},
        "yaxis": _axis("latency from the due time, ms") | {"type": "log", "dtick": "D2"},
    }
    return {
        "id": "live-quantiles",
        "title": "Latency by quantile, per variant and phase",
        "alt": "Latency of answered operations at p50, p90, p95, p99, p99.9 and the maximum; the same numbers stand in "
        "the tables of windows below.",
        "height": 400,
        "data": data,
        "layout": layout,
    }


def _layout(top: int = 30) -> dict[str, Any]:
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 12, "color": "var(--soft)"},
        "margin": {"l": 58, "r": 16, "t": top, "b": 44},
        "legend": {"orientation": "h", "y": -0.16},
        "hoverlabel": {"bgcolor": "var(--card)", "bordercolor": "var(--rule)", "font": {"color": "var(--ink)"}},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "var(--soft)", "activecolor": "var(--ink)"},
    }


def _axis(title: str) -> dict[str, Any]:
    return {
        "title": {"text": title, "standoff": 8},
        "gridcolor": "var(--rule)",
        "linecolor": "var(--rule)",
        "zeroline": False,
        "fixedrange": False,
    }


def _band(start: float, end: float) -> dict[str, Any]:
    return {
        "type": "rect",
        "xref": "x",
        "yref": "paper",
        "x0": start,
        "x1": end,
        "y0": 0,
        "y1": 1,
        "layer": "below",
        "line": {"width": 0},
        "fillcolor": "var(--band)",
    }


def _note(label: str, x: float, y: float, **more: object) -> dict[str, Any]:
    return {"text": _safe(label), "x": x, "y": y, "showarrow": False, "xanchor": "left", **more}


def _safe(text: str) -> str:
    """Plotly reads a part of HTML in texts; names are words."""
    return html.escape(text, quote=False)
