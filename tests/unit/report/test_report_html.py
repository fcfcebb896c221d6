"""The page: balanced, self-contained, small, safe against what histories and logs contain."""

from __future__ import annotations

import base64
import gzip
import json
import re
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from markdown_it import MarkdownIt

from chaoskit.analysis.model import Analysis, Series
from chaoskit.report import build, render_html, render_json, render_markdown
from chaoskit.report.figures import CONFIG, bundle, figures
from chaoskit.report.model import ReportModel
from chaoskit.store import RunDir

VOID = {"meta", "link", "br", "img", "input", "hr"}
HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "'><svg onload=alert(1)>",
    "</title></svg><script>alert(1)</script>",
    "{{ 7*7 }} {% raw %} ${alert(1)}",
    "<!--<script>",
    "javascript:alert(1)",
    "]]>\x00\x1b[31m\u202e\ud800",
    "| a | b | `code` [x](javascript:alert(1)) ~~~",
)


class Page(HTMLParser):
    """Elements in order, and whether every one that opens is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"doubled attribute in {tag} {attrs}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()


@pytest.fixture(scope="session")
def html(model: ReportModel) -> str:
    return render_html(model)


@pytest.fixture(scope="session")
def page(html: str) -> Page:
    return Page(html)


def check_safe(text: str) -> Page:
    """Nothing that a text could have smuggled in: no handlers, no foreign scripts, no addresses."""
    found = Page(text)
    assert found.open == []
    for tag, attributes in found.elements:
        assert tag not in {"iframe", "object", "embed", "base", "form", "img", "foreignobject"}, tag
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert "style" not in attributes
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            value = attributes.get(name) or ""
            assert value.startswith(("#", "data:application/", "data:,")) or not value, (tag, name, value[:80])
    scripts = [attributes.get("type") for tag, attributes in found.elements if tag == "script"]
    assert scripts in ([None], ["application/json", "text/plain", None])
    return found


def test_the_page_is_balanced_and_safe(html: str) -> None:
    check_safe(html)


def test_the_page_is_small(html: str) -> None:
    assert len(html.encode()) < 3_000_000
    # Everything but the packed plotly.js: what a browser has to read for the first paint.
    assert len(html.encode()) - len(bundle().packed) < 400_000


def test_ids_are_unique_and_every_anchor_leads_somewhere(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {(attributes.get("href") or "")[1:] for _, attributes in page.elements} - {""}
    anchors = {href for href in targets if not href.startswith("ata:")}
    assert anchors and anchors <= set(ids)


def test_the_page_fetches_nothing(html: str) -> None:
    without = html.replace(bundle().packed, "")
    assert not re.search(r"""(?:src|href|url)\s*[=(]\s*["']?\s*(?:https?:)?//""", without, re.IGNORECASE)
    assert "@import" not in without and "fetch(" not in without and "XMLHttpRequest" not in without
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    rules = policy[1].replace("&#39;", "'")
    assert rules.startswith("default-src 'none'; ")
    assert "unsafe" not in rules and "http" not in rules and "connect-src" not in rules


def test_the_policy_allows_exactly_our_style_and_script(html: str) -> None:
    rules = html.replace("&#39;", "'")
    for tag in ("style", "script"):
        inline = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert inline is not None
        digest = base64.b64encode(sha256(inline[1].encode()).digest()).decode()
        assert f"'sha256-{digest}'" in rules


def test_everything_that_matters_is_there_without_script(model: ReportModel, html: str) -> None:
    static = re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", " ", static).replace("\u00a0", " ")
    for expected in (
        model.headline,
        *(row.id for row in model.claims),
        *(witness.sentence for witness in model.witnesses),
        "not refuted in 719 operations",
        "the final reads did not finish within 2 s of settling",
        "asked 200 ms, saw 203 ± 4 ms",
        model.reproduce.command,
    ):
        assert expected in text
    assert static.count('class="pic"') == 2 + 2 * 2 + 2 * 2 + 2  # summary, timelines, witnesses, topology


def test_every_picture_has_a_text_alternative_and_every_verdict_a_word(page: Page, html: str) -> None:
    pictures = [attributes for tag, attributes in page.elements if tag == "svg" and attributes.get("class") == "pic"]
    assert pictures and all(a.get("role") == "img" and a.get("aria-labelledby") for a in pictures)
    hidden = [a for tag, a in page.elements if tag == "svg" and a.get("class") != "pic"]
    assert all(a.get("aria-hidden") == "true" for a in hidden)
    badges = re.findall(r'<span class="badge (\w+)"><span class="icon" aria-hidden="true">(.)</span>(\w+)</span>', html)
    assert badges and {(a, b) for a, _, b in badges} == {(v, v) for v in ("held", "refuted", "inconclusive")}
    assert {(icon, word) for _, icon, word in badges} == {("✓", "held"), ("✕", "refuted"), ("?", "inconclusive")}


def test_the_download_is_the_report_as_data(model: ReportModel, page: Page) -> None:
    link = next(attributes for tag, attributes in page.elements if tag == "a" and "download" in attributes)
    kind, _, data = (link["href"] or "").partition(";base64,")
    assert kind == "data:application/json"
    assert json.loads(base64.b64decode(data)) == json.loads(render_json(model))
    assert link["download"] == "database-slow-20261123t101500z-a1b2c3.report.json"


def test_a_large_download_is_packed(model: ReportModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaoskit.report.html._PLAIN_JSON", 1000)
    text = render_html(model)
    found = re.search(r'download="([^"]+\.json\.gz)" href="data:application/gzip;base64,([^"]+)"', text)
    assert found is not None
    assert json.loads(gzip.decompress(base64.b64decode(found[2])))["run"] == model.run


def test_a_long_run_of_many_cells_stays_small(sample: ModuleType, tmp_path: Path) -> None:
    names = ["cache-aside", "write-through", "write-around", "write-back"]
    plan = sample.plan()
    variants = tuple(plan.experiment.variants[0].model_copy(update={"name": name}) for name in names)
    plan = plan.model_copy(update={"experiment": plan.experiment.model_copy(update={"variants": variants})})

    def stretched(series: Series) -> Series:
        lists = {key: value * 28 for key, value in series if isinstance(value, tuple)}
        return series.model_copy(update=lists | {"step": 0.9})

    lines = tuple(stretched(one) for one in sample.series("impatient"))
    assert len(lines[0].yes) > 2000
    cells = tuple(
        sample.cell("impatient", trial).model_copy(update={"variant": name, "series": lines})
        for name in names
        for trial in range(1, 11)
    )
    run = RunDir(tmp_path)
    for name in names:
        folder = run.block(name) / "logs"
        folder.mkdir(parents=True)
        for node in ("api", "db", "cache", "proxy", "client"):
            (folder / f"{node}.log").write_text("a line of a log that says something or other\n" * 5000)
    text = render_html(build(sample.analysis(cells=cells), plan, sample.ENVIRONMENT, run))
    assert len(text.encode()) < 3_000_000


def test_many_held_sentences_are_folded_and_failures_never(sample: ModuleType, stored: RunDir) -> None:
    claims = [claim.model_copy(update={"id": f"{claim.id}-{i}"}) for i in range(2) for claim in sample.CLAIMS]
    plan = sample.plan()
    plan = plan.model_copy(update={"experiment": plan.experiment.model_copy(update={"claims": tuple(claims)})})
    found = tuple(
        summary.model_copy(update={"claim": f"{summary.claim}-{i}"})
        for i in range(2)
        for summary in sample.analysis().claims
    )
    text = render_html(build(sample.analysis(claims=found), plan, {}, stored))
    strip = text[text.index('<section id="verdict"') : text.index("<nav")]
    shown, _, folded = strip.partition("<details>")
    assert shown.count("<li") == 10 and folded.count('<li class="held">') == folded.count("<li") == 10


def test_plotly_sends_nothing_anywhere(html: str) -> None:
    for setting in ('"showSendToCloud":false', '"plotlyServerURL":""', '"displaylogo":false'):
        assert setting in html
    assert CONFIG["showSendToCloud"] is False


def test_figures_are_valid_plotly_and_use_the_colours_of_the_page(model: ReportModel, html: str) -> None:
    from plotly.graph_objects import Figure

    found = figures(model)
    assert [figure["id"] for figure in found] == ["live-timeline-patient", "live-timeline-impatient", "live-quantiles"]
    style = html[html.index("<style>") : html.index("</style>")]
    for figure in found:
        Figure(data=figure["data"], layout=figure["layout"])
        for name in re.findall(r"var\((--[a-z0-9-]+)\)", json.dumps(figure)):
            assert f"{name}:" in style, name


def test_the_bundle_unpacks_to_plotly() -> None:
    raw = gzip.decompress(base64.b64decode(bundle().packed))
    assert b"plotly.js v" in raw[:200]


def test_an_empty_run_makes_a_valid_page_without_the_bundle(empty: ReportModel) -> None:
    text = render_html(empty)
    check_safe(text)
    assert len(text) < 200_000
    assert "Nothing was measured" in text and "nothing to draw" in text


def poisoned(value: Any, evil: str) -> Any:
    """The same data with every free text replaced."""
    if isinstance(value, dict):
        return {key: item if key in KEPT else poisoned(item, evil) for key, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, evil) for item in value]
    return evil + value if isinstance(value, str) else value


KEPT = {"verdict", "expected_verdict", "outcome", "cls", "variant", "claim", "unit", "anomalies", "split"}


@pytest.mark.parametrize("evil", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_strings_in_every_field_stay_text(sample: ModuleType, stored: RunDir, evil: str) -> None:
    data = poisoned(sample.analysis().model_dump(mode="json"), evil)
    data["name"] = evil
    analysis = Analysis.model_construct(**Analysis.model_validate(replace_surrogates(data)).__dict__)
    plan = sample.plan()
    experiment = plan.experiment.model_copy(update={"question": evil, "file": evil})
    injection = plan.injections[0].model_copy(update={"sentence": evil})
    plan = plan.model_copy(update={"experiment": experiment, "injections": (injection,), "warnings": (evil,)})
    folder = RunDir(stored.path.parent / f"evil-{HOSTILE.index(evil)}")
    logs = folder.block("x") / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    (logs / "api.log").write_bytes(evil.encode("utf-8", "surrogateescape" if "\ud800" not in evil else "replace"))
    folder.file("experiment.yaml").write_bytes(evil.encode("utf-8", "replace"))
    model = build(analysis, plan, {"command": [evil], "packages": {evil: evil}}, folder)
    text = render_html(model)
    found = check_safe(text)
    assert "x" in text and text.encode()
    live = re.search(r'<script type="application/json" id="live-data">(.*?)</script>', text, re.DOTALL)
    assert live is not None and "<" not in live[1]
    json.loads(live[1])
    assert sum(tag == "script" for tag, _ in found.elements) == 3
    shown = MarkdownIt("commonmark").enable("table").render(render_markdown(model))
    tags = set(re.findall(r"<\s*/?\s*([a-z!][^\s>/]*)", shown))
    assert tags <= {
        "h1", "h2", "p", "em", "strong", "ul", "li", "table", "thead", "tbody", "tr", "th", "td", "pre", "code",
        "details", "summary", "blockquote",
    }  # fmt: skip
    json.loads(render_json(model))


def replace_surrogates(value: Any) -> Any:
    # pydantic refuses lone surrogates, so they cannot come from analysis.json; they do come from logs.
    if isinstance(value, dict):
        return {key: replace_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [replace_surrogates(item) for item in value]
    return value.replace("\ud800", "") if isinstance(value, str) else value


def test_names_that_are_markup_stay_text_too(sample: ModuleType, stored: RunDir) -> None:
    evil = HOSTILE[0]
    plan = sample.plan()
    variants = tuple(v.model_copy(update={"name": evil + v.name}) for v in plan.experiment.variants)
    plan = plan.model_copy(update={"experiment": plan.experiment.model_copy(update={"variants": variants})})
    cells = tuple(
        sample.cell(name).model_copy(
            update={
                "variant": evil + name,
                "series": tuple(
                    s.model_copy(update={"cls": evil if s.cls != "*" else "*"}) for s in sample.series(name)
                ),
            }
        )
        for name in ("patient", "impatient")
    )
    check_safe(render_html(build(sample.analysis(cells=cells, claims=()), plan, {}, stored)))
