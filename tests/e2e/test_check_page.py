"""The page of `chaoskit check` in a real Chromium: it fits, asks for nothing, and a hostile history stays text."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.needs("browser")

EVIL = "</svg></style><script>document.title='owned'</script><img src=https://example.org/x onerror=alert(1)>"
HISTORY = f"""\
{{:type :invoke :f :write :value "a" :process 0 :time 100000000 :index 0}}
{{:type :ok :f :write :value "a" :process 0 :time 112000000 :index 1}}
{{:type :info :f :start :value "{EVIL}" :process :nemesis :time 113000000 :index 2}}
{{:type :invoke :f :write :value "b" :process 1 :time 119000000 :index 3}}
{{:type :ok :f :write :value "b" :process 1 :time 131000000 :index 4}}
{{:type :invoke :f :read :value nil :process 3 :time 140000000 :index 5}}
{{:type :ok :f :read :value "a" :process 3 :time 143000000 :index 6}}
{{:type :invoke :f :read :value nil :process 2 :time 150000000 :index 7}}
{{:type :ok :f :read :value "{EVIL}" :process 2 :time 153000000 :index 8}}
"""


def _browsing() -> ModuleType:
    path = Path(__file__).with_name("test_report_browser.py")
    spec = importlib.util.spec_from_file_location("chaoskit_browsing", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BROWSING = _browsing()
browser = BROWSING.browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    from chaoskit import api

    folder = tmp_path_factory.mktemp("page")
    (folder / "history.edn").write_text(HISTORY)
    found = api.check(folder / "history.edn", "register")
    api.check_page([found], folder / "page.html", "chaoskit check history.edn --model register")
    return (folder / "page.html").as_uri()


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
def test_it_fits_and_asks_for_nothing(browser: Any, address: str, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    try:
        asked: list[str] = []
        said: list[str] = []
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.goto(address, timeout=BROWSING.PATIENCE)
        assert page.title() == f"refuted: {Path(address.removeprefix('file://')).with_name('history.edn')}"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelectorAll('script, img').length") == 0
        shown = page.evaluate("[...document.querySelectorAll('svg.pic')].filter(s => s.getClientRects().length).length")
        assert shown == 2  # one picture for each anomaly, wide or narrow
        assert "document.title='owned'" in page.inner_text("main")
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        assert said == []
    finally:
        context.close()
