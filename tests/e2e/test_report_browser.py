"""The page in a real Chromium, network counted and cut: complete without script, alive with it, fits, prints."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest
import report_sample

from chaoskit.report import build, render_html

pytestmark = pytest.mark.needs("browser")

ARGUMENTS = (
    "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic",
)  # fmt: skip
PATIENCE = 60_000  # milliseconds; the machine may be busy


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """file:// addresses of a full and an empty report, and of one that a log tried to poison."""
    folder = tmp_path_factory.mktemp("browser")
    run = report_sample.stored(folder / "run")
    evil = "</script><script>document.title='owned'</script><img src=https://example.org/x onerror=alert(1)>"
    (run.block("impatient") / "logs" / "evil.log").write_text(evil)
    models = {
        "full": build(report_sample.analysis(), report_sample.plan(), report_sample.ENVIRONMENT, run),
        "empty": build(report_sample.empty(), report_sample.plan(), {}, run),
        "evil": build(report_sample.analysis(headline=evil, name=evil), report_sample.plan(), {evil: evil}, run),
    }
    found = {}
    for name, model in models.items():
        path = folder / f"{name} report.html"
        path.write_text(render_html(model))
        found[name] = path.as_uri()
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    arguments = [*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=binary, args=arguments, timeout=PATIENCE)
        yield found
        found.close()


def until(page: Any, expression: str) -> None:
    """Ask until it is true. Playwright's own waiting evaluates strings in the page, which the page's policy forbids."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never came true: {expression}"
        page.wait_for_timeout(50)


class Visit:
    """One page with everything recorded that it asks for or complains about; every request but files is refused."""

    def __init__(self, browser: Any, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(PATIENCE)
        self.context.set_offline(True)
        self.requests: list[str] = []
        self.messages: list[str] = []
        self.page = self.context.new_page()
        self.failures: dict[str, str] = {}
        self.page.on("requestfailed", lambda request: self.failures.update({request.url: request.failure}))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.messages.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.messages.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: (self.messages.append("dialog"), dialog.dismiss()))
        self.page.route(
            "**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort()
        )

    def open(self, address: str) -> Any:
        self.page.goto(address, wait_until="load", timeout=PATIENCE)
        return self.page

    def draw_all(self) -> None:
        """Scroll to each interactive figure as a reader does, and wait until it lives."""
        for box in self.page.locator(".live").all():
            box.scroll_into_view_if_needed()
            until(self.page, f"document.getElementById('{box.get_attribute('id')}').dataset.state === 'live'")

    @property
    def foreign(self) -> list[str]:
        """Requests that are not the page itself, a blob of it or a data address."""
        return [url for url in self.requests if not url.startswith(("file:", "blob:", "data:"))]


@pytest.fixture
def visit(browser: Any) -> Iterator[Any]:
    visits: list[Visit] = []

    def make(**options: Any) -> Visit:
        visits.append(Visit(browser, **options))
        return visits[-1]

    yield make
    for one in visits:
        one.context.close()


def overflow(page: Any) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def test_complete_without_script(visit: Any, addresses: dict[str, str]) -> None:
    page = visit(java_script_enabled=False, viewport={"width": 1280, "height": 900}).open(addresses["full"])
    assert page.locator("#verdict").is_visible()
    assert page.locator(".sentences li").count() == 10
    assert page.locator("#claims tbody tr").count() == 5
    for picture in ("#timeline-patient .wide svg", "#witness-2 .wide svg", "#tested .wide svg"):
        box = page.locator(picture).bounding_box()
        assert box is not None and box["width"] > 300 and box["height"] > 60
    assert page.locator(".live").first.is_hidden()
    assert page.get_by_text("Interactive figures need script").is_visible()
    assert page.locator("#reproduce a[download]").get_attribute("href").startswith("data:application/json;base64,")


def test_figures_come_to_life_on_scroll_and_nothing_is_fetched(visit: Any, addresses: dict[str, str]) -> None:
    one = visit(viewport={"width": 1280, "height": 900})
    page = one.open(addresses["full"])
    # Nothing is unpacked before somebody scrolls there.
    assert page.evaluate("typeof window.Plotly") == "undefined"
    assert page.locator("#verdict").is_visible()
    one.draw_all()
    assert page.locator(".js-plotly-plot").count() == 3
    assert page.get_by_text("Draw this figure").count() == 0
    titles = page.locator(".modebar-btn").evaluate_all("all => all.map((one) => one.dataset.title || one.title)")
    assert "Zoom" in titles
    assert not [title for title in titles if "hare" in title or "loud" in title or "lotly" in title]
    assert page.locator(".js-plotly-plot a[href*='http']").count() == 0
    assert one.foreign == []
    assert one.messages == []


def test_a_figure_can_be_drawn_by_click(visit: Any, addresses: dict[str, str]) -> None:
    one = visit(viewport={"width": 1280, "height": 900})
    page = one.open(addresses["full"])
    page.locator("#live-quantiles button").dispatch_event("click")
    until(page, "document.getElementById('live-quantiles').dataset.state === 'live'")
    assert page.locator("#live-quantiles .js-plotly-plot").count() == 1
    assert one.messages == []


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_sideways_scrolling(visit: Any, addresses: dict[str, str], width: int) -> None:
    one = visit(viewport={"width": width, "height": 800})
    page = one.open(addresses["full"])
    assert overflow(page) <= 0
    one.draw_all()
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert overflow(page) <= 0
    narrow, wide = page.locator("#timeline-patient .narrow"), page.locator("#timeline-patient .wide")
    assert narrow.is_visible() == (width < 760) and wide.is_visible() == (width >= 760)


def test_text_in_pictures_can_be_read_on_a_phone(visit: Any, addresses: dict[str, str]) -> None:
    page = visit(viewport={"width": 360, "height": 800}).open(addresses["full"])
    heights = page.locator(".narrow svg text").evaluate_all(
        "texts => texts.filter((t) => t.checkVisibility()).map((t) => t.getBoundingClientRect().height)"
    )
    assert len(heights) > 50 and min(heights) >= 9


def test_labels_of_pictures_do_not_meet(visit: Any, addresses: dict[str, str]) -> None:
    script = """
    pictures => pictures.flatMap((svg) => {
      const texts = [...svg.querySelectorAll('text:not(.limit-text)')];
      const boxes = texts.map((t) => [t.textContent, t.getBoundingClientRect()]);
      return boxes.flatMap(([a, p], i) => boxes.slice(i + 1).filter(([, q]) =>
        p.left < q.right - 2 && q.left < p.right - 2 && p.top < q.bottom - 4 && q.top < p.bottom - 4
      ).map(([b]) => a + ' / ' + b));
    })
    """
    for width in (390, 1280):
        page = visit(viewport={"width": width, "height": 900}).open(addresses["full"])
        assert page.locator(".pic:visible").evaluate_all(script) == []


def test_dark_scheme_reaches_pictures_and_figures(visit: Any, addresses: dict[str, str]) -> None:
    one = visit(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    page = one.open(addresses["full"])
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    ink = page.evaluate("getComputedStyle(document.querySelector('svg .fault')).fill")
    assert sum(map(int, paper[4:-1].split(","))) < 150 < 500 < sum(map(int, ink[4:-1].split(",")))
    one.draw_all()
    line = "getComputedStyle(document.querySelector('#live-timeline-patient .scatterlayer .js-line')).stroke"
    dark = page.evaluate(line)
    page.emulate_media(color_scheme="light")
    until(page, f"{line} !== '{dark}'")
    assert one.messages == []


def test_prints_with_everything_unfolded(visit: Any, addresses: dict[str, str]) -> None:
    page = visit(viewport={"width": 1280, "height": 900}, color_scheme="dark").open(addresses["full"])
    pdf = page.pdf(format="A4")
    assert pdf.startswith(b"%PDF") and len(pdf) > 50_000
    assert page.locator("details[open]").count() == 0  # folded again afterwards
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden() and page.locator(".live").first.is_hidden()
    paper = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--card')")
    assert paper.strip() == "#ffffff"


def test_keyboard_reaches_the_claims_and_the_evidence(visit: Any, addresses: dict[str, str]) -> None:
    page = visit(viewport={"width": 1280, "height": 900}).open(addresses["full"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    box = page.locator(".skip").bounding_box()
    assert box is not None and box["x"] >= 0  # seen once it has the focus
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#claims"
    reached = set()
    for _ in range(90):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.getAttribute('href') || document.activeElement.tagName"))
    assert {"#witness-1", "#witness-2", "SUMMARY"} <= reached
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"


def test_anchor_into_a_folded_part_unfolds_it(visit: Any, addresses: dict[str, str]) -> None:
    page = visit(viewport={"width": 1280, "height": 900}).open(addresses["full"])
    page.evaluate("document.querySelector('#raw details').firstElementChild.id = 'inside'; location.hash = '#inside'")
    until(page, "document.querySelector('#raw details').open")


@pytest.mark.parametrize("name", ["empty", "evil"])
def test_short_and_poisoned_reports_are_calm(visit: Any, addresses: dict[str, str], name: str) -> None:
    one = visit(viewport={"width": 360, "height": 800})
    page = one.open(addresses[name])
    one.draw_all()
    assert page.locator("#verdict").is_visible()
    assert page.title() != "owned"
    assert page.locator("img").count() == 0
    assert overflow(page) <= 0
    assert one.messages == [] and one.foreign == []


def test_an_injected_script_would_be_stopped_by_the_policy(visit: Any, addresses: dict[str, str]) -> None:
    one = visit(viewport={"width": 1280, "height": 900})
    page = one.open(addresses["full"])
    page.evaluate("""() => {
      const script = document.createElement('script');
      script.textContent = "document.title = 'owned'";
      document.body.append(script);
      const image = new Image();
      image.src = 'https://example.org/x.png';
      document.body.append(image);
    }""")
    assert page.title() != "owned"
    until(page, "document.images[0].complete")
    assert one.failures == {"https://example.org/x.png": "csp"}  # refused by the page itself, not by the cut network
    assert any("Content Security Policy" in message for message in one.messages)


def test_first_paint_does_not_wait_for_the_bundle(visit: Any, addresses: dict[str, str]) -> None:
    page = visit(viewport={"width": 1280, "height": 900}).open(addresses["full"])
    until(page, "performance.getEntriesByName('first-contentful-paint').length > 0")
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    print(f"first contentful paint after {painted:.0f} ms")
    assert painted < 10_000  # a busy machine; on an idle one it is far below a second
    assert page.evaluate("typeof window.Plotly") == "undefined"
