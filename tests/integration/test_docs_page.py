"""People type API keys into `/docs`: no script runs there but the one that was looked at, and it reaches this server alone."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient

from shared.clock import SystemClock
from shared.web.app import create_app
from tests.browser import running_browser
from tests.web_server import serving

if TYPE_CHECKING:
    from pathlib import Path


def _app() -> FastAPI:
    return create_app(title="Claims & <more>", service="test", clock=SystemClock(), readiness=dict)


def test_scripts_and_styles_from_elsewhere_are_pinned_by_version_and_digest() -> None:
    client = TestClient(_app())
    answer = client.get("/docs")
    tags = re.findall(r"<(?:script src|link rel=\"stylesheet\" href)=\"(https://[^\"]+)\"([^>]*)>", answer.text)
    assert len(tags) == 2
    for url, attributes in tags:
        assert re.search(r"@\d+\.\d+\.\d+/", url)
        assert re.search(r'integrity="sha384-[A-Za-z0-9+/]{64}" crossorigin="anonymous"', attributes)
        assert f" {url} " in answer.headers["Content-Security-Policy"]
    (own,) = re.findall(r"<script>(.*?)</script>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["Content-Security-Policy"]
    assert "<title>Claims &amp; &lt;more&gt;</title>" in answer.text
    assert client.get("/redoc").status_code == 404


def test_the_page_says_where_else_it_is_when_it_cannot_be_shown_and_reaches_nobody_but_us(chromium: str, tmp_path: Path) -> None:
    elsewhere = FastAPI()

    @elsewhere.get("/")
    def anyone() -> PlainTextResponse:
        return PlainTextResponse("here", headers={"Access-Control-Allow-Origin": "*"})

    with serving(_app()) as url, serving(elsewhere) as other, running_browser(chromium, tmp_path) as browser:
        tab = browser.open(f"{url}/docs")
        tab.await_("document.readyState === 'complete' && document.querySelector('#api') !== null")
        ask = "fetch('{}').then((answer) => answer.text(), () => 'refused')"
        assert tab.evaluate(ask.format(f"{url}/healthz")) == "alive\n"
        assert tab.evaluate(ask.format(other)) == "refused"
        unbound = browser.open(f"{url}/healthz")
        unbound.await_("document.readyState === 'complete'")
        assert unbound.evaluate(ask.format(other)) == "here"
