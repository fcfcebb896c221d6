"""The report as one HTML file that asks the network for nothing. Lays out the model; decides nothing.

Everything that matters is static HTML and SVG. The content security policy allows our one style sheet and our one
script by their hashes, and the unpacked plotly.js as a blob; so text from a log cannot run even if escaping failed.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from typing import Any

from markupsafe import Markup

from chaoskit.report.figures import CONFIG, bundle, figures
from chaoskit.report.json import render as render_json
from chaoskit.report.model import ReportModel, Timeline, TopologyView, WitnessView
from chaoskit.report.pages import both, digest, environment, source
from chaoskit.report.series import timeline_table
from chaoskit.report.svg import intervals, summary, timeline, topology
from chaoskit.report.text import ICONS, slug

__all__ = ["render"]

_PLAIN_JSON = 300_000  # bytes; a larger report.json is embedded compressed


def render(model: ReportModel) -> str:
    """The whole page."""
    style, script = source("page.css"), source("page.js")
    live = figures(model)
    scale = timeline.scale_of(model.timelines) if model.timelines else None

    def draw_timeline(one: Timeline) -> Markup:
        assert scale is not None
        return both(timeline.render(one, scale), timeline.render(one, scale, narrow=True))

    return environment().get_template("report.html.j2").render(
        m=model,
        style=Markup(style),
        script=Markup(script),
        policy=_policy(style, script),
        icons=ICONS,
        slug=slug,
        draw_timeline=draw_timeline,
        draw_witness=_witness,
        squeezed=intervals.squeezed,
        draw_topology=_topology,
        draw_yield=summary.render_yield,
        draw_p99=summary.render_p99,
        table_of=timeline_table,
        marker=lambda i: Markup(summary.MARKERS[i % 4]),
        live=live,
        live_json=_script_json({"figures": live, "config": CONFIG}),
        bundle=bundle() if live else None,
        download=_download(model),
    )  # fmt: skip


def _policy(style: str, script: str) -> str:
    return (
        # Plotly makes empty style elements and fills them by script; the hash of nothing lets exactly these in.
        f"default-src 'none'; script-src {digest(script)} blob:; style-src {digest(style)} {digest('')}; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _witness(one: WitnessView) -> Markup:
    return both(intervals.render(one), intervals.render(one, narrow=True))


def _topology(one: TopologyView) -> Markup:
    return both(topology.render(one), topology.render(one, narrow=True))


def _script_json(data: dict[str, Any]) -> Markup:
    """JSON for inside a script element: no `<`, so that nothing in it can end the element or open a comment."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _download(model: ReportModel) -> dict[str, str]:
    """report.json as a link that carries its content."""
    raw = render_json(model).encode()
    name, kind = f"{slug(model.name, model.run)}.report.json", "application/json"
    if len(raw) > _PLAIN_JSON:
        raw, name, kind = gzip.compress(raw, mtime=0), f"{name}.gz", "application/gzip"
    return {"name": name, "href": f"data:{kind};base64,{b64encode(raw).decode()}"}
