"""The stopwatch of review pages, in a real browser, on a page that forwards its heartbeats to the real operations API."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse

from tests import local_http
from tests.browser import Browser, Tab, running_browser
from tests.ops_desk import Desk, open_desk
from tests.patience import HANG_SECONDS
from tests.web_server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

    from tests.conftest import Database

# Seconds without input that count; short, so that a test does not wait a minute.
IDLE = 2.0
# Between two heartbeats, and between two ticks of the stopwatch: what may not have been noticed yet.
TICK = 1.0
# The most that the stopwatch believes between two ticks.
LONGEST_TICK = 3.0

PAGE = """<!doctype html><title>Review</title><body><textarea></textarea>
<script type="module">
  import {{ measure }} from "{ops}/static/worktime.js";
  window.clock = measure({{ url: "/heartbeat/{review}", reviewer: "ada", idleSeconds: {idle}, everySeconds: {tick},
                            nextSequence: {sequence}, onStopped: (status) => (window.stopped = status) }});
</script>"""

FRAMED = """<!doctype html><title>Mail</title><iframe src="/page/{review}?sequence=0&idle={idle}"></iframe><textarea id="mail"></textarea>
<script>addEventListener("load", () => document.getElementById("mail").focus());</script>"""


@dataclass
class Portal:
    """A customer's own server: it has the page, and the key that no page should have."""

    desk: Desk
    ops: str
    url: str = ""
    away: bool = False
    beats: list[dict[str, Any]] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/page/{review}")
        def page(review: str, sequence: int, idle: float) -> HTMLResponse:
            return HTMLResponse(PAGE.format(ops=self.ops, review=review, sequence=sequence, idle=idle, tick=TICK))

        @app.get("/framed/{review}")
        def framed(review: str) -> HTMLResponse:
            return HTMLResponse(FRAMED.format(review=review, idle=IDLE))

        @app.get("/elsewhere")
        def elsewhere() -> HTMLResponse:
            return HTMLResponse("<!doctype html><title>Other work</title>")

        @app.post("/heartbeat/{review}")
        async def heartbeat(review: str, request: Request) -> Response:
            if self.away:
                return Response(status_code=503)
            self.beats.append(await request.json())
            return await self._forward(f"/v1/reviews/{review}/heartbeat", await request.body())

        return app

    async def _forward(self, path: str, body: bytes) -> Response:
        headers = {"Authorization": f"Bearer {self.desk.token('acme', 'operator')}", "Content-Type": "application/json"}
        async with httpx.AsyncClient(base_url=self.ops) as client:
            answer = await client.post(path, content=body, headers=headers)
        return Response(answer.content, answer.status_code, media_type=answer.headers["content-type"])

    def begin(self, browser: Browser, *, idle: float = IDLE) -> tuple[UUID, Tab]:
        """Claim a review and open its page."""
        _, review = self.desk.waiting()
        claimed = self.desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"}, role="operator")
        tab = browser.open(f"{self.url}/page/{review}?sequence={claimed['next_sequence']}&idle={idle}")
        tab.await_("window.clock !== undefined")
        return review, tab

    def submit(self, review: UUID, tab: Tab) -> Any:
        answer = {"outcome": "adjuster", "reviewer": "ada", **tab.evaluate("window.clock.finish()")}
        return self.desk.post(f"/v1/reviews/{review}/submit", answer, role="operator")

    def counted(self, review: UUID) -> float:
        """What the server has heard of so far."""
        return float(self.desk.rows("SELECT active_seconds AS s FROM reviews WHERE id = %s", review)[0]["s"])

    def await_counted(self, review: UUID, seconds: float) -> None:
        deadline = time.monotonic() + HANG_SECONDS
        while self.counted(review) < seconds:
            assert time.monotonic() < deadline, f"the server never heard of {seconds} s"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running_browser(chromium, _profile(tmp_path_factory)) as browser:
        yield browser


def _profile(folders: pytest.TempPathFactory) -> Path:
    return folders.mktemp("chromium")


@pytest.fixture
def portal(database: Database) -> Iterator[Portal]:
    with open_desk(database) as desk, serving(desk.app) as ops, _open(Portal(desk, ops)) as portal:
        yield portal


@contextmanager
def _open(portal: Portal) -> Iterator[Portal]:
    with serving(portal.app()) as url:
        portal.url = url
        yield portal


def _work(tab: Tab, seconds: float) -> float:
    """Press keys for so long; returns the moment of the last one."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        tab.press()
        time.sleep(0.2)
    tab.press()
    return time.monotonic()


def test_only_time_that_is_visible_focused_and_not_idle_is_booked(portal: Portal, browser: Browser) -> None:
    review, tab = portal.begin(browser)
    began = time.monotonic()
    last_input = _work(tab, 2.5)
    time.sleep(IDLE + 2)
    worked = last_input - began + IDLE
    elsewhere = browser.open(f"{portal.url}/elsewhere")
    # The last heartbeat leaves as the page is hidden, without waiting for its turn.
    portal.await_counted(review, worked - 0.7)
    time.sleep(2)
    assert portal.counted(review) == pytest.approx(worked, abs=0.7)
    tab.show()
    returned = time.monotonic()
    _work(tab, 1.5)
    answer = portal.submit(review, tab)
    worked += time.monotonic() - returned
    assert answer["booked_seconds"] == answer["active_seconds"] == pytest.approx(worked, abs=1.2)
    assert answer["span_seconds"] > worked + 3
    assert [beat["sequence"] for beat in portal.beats] == list(range(len(portal.beats)))
    elsewhere.close()


def test_a_page_that_is_seen_but_not_focused_does_not_count(portal: Portal, browser: Browser) -> None:
    """A frame beside a field that somebody types into: a browser without a screen has no window that could be in front of another."""
    _, review = portal.desk.waiting()
    portal.desk.post(f"/v1/reviews/{review}/claim", {"reviewer": "ada"}, role="operator")
    tab = browser.open(f"{portal.url}/framed/{review}")
    tab.await_("document.activeElement?.id === 'mail' && frames[0]?.clock !== undefined")
    before = tab.evaluate("frames[0].clock.activeSeconds()")
    _work(tab, 1.5)
    seen = tab.evaluate("[frames[0].document.visibilityState, frames[0].document.hasFocus(), frames[0].clock.activeSeconds()]")
    assert seen == ["visible", False, before]
    now = "[frames[0].performance.now() / 1000, frames[0].clock.activeSeconds()]"
    began, counted = tab.evaluate(f"frames[0].document.querySelector('textarea').focus(), {now}")
    _work(tab, 1)
    ended, counted_in_the_end = tab.evaluate(now)
    assert counted_in_the_end - counted == pytest.approx(ended - began, abs=0.1)


def test_heartbeats_that_did_not_arrive_are_caught_up_with(portal: Portal, browser: Browser) -> None:
    review, tab = portal.begin(browser)
    portal.away = True
    began = time.monotonic()
    _work(tab, 3)
    assert portal.counted(review) == 0
    portal.away = False
    portal.await_counted(review, 2)
    worked = time.monotonic() - began
    assert portal.submit(review, tab)["booked_seconds"] <= worked + 1
    assert portal.beats[0]["sequence"] > 0


def test_a_machine_that_slept_books_none_of_it_though_its_clock_went_on(portal: Portal, browser: Browser) -> None:
    # A long idle cut, which alone would let the sleep count.
    review, tab = portal.begin(browser, idle=60)
    awake = time.monotonic()
    _work(tab, 1)
    with browser.asleep():
        awake -= time.monotonic()
        time.sleep(LONGEST_TICK + 4)
        awake += time.monotonic()
    _work(tab, 0.5)
    answer = portal.submit(review, tab)
    awake = time.monotonic() - awake
    assert answer["booked_seconds"] <= awake + LONGEST_TICK + 0.5
    assert answer["span_seconds"] > awake + LONGEST_TICK + 3


def test_what_is_worked_after_a_submission_that_failed_is_booked_too(portal: Portal, browser: Browser) -> None:
    review, tab = portal.begin(browser)
    _work(tab, 1.5)
    failed = tab.evaluate("window.clock.finish()")
    time.sleep(1)
    tab.evaluate("window.clock.resume()")
    resumed = time.monotonic()
    _work(tab, 2.5)
    heard = portal.beats[-1]["active_seconds"]
    assert heard > failed["active_seconds"]
    answer = portal.submit(review, tab)
    worked = failed["active_seconds"] + time.monotonic() - resumed
    assert answer["booked_seconds"] == pytest.approx(worked, abs=0.7)
    assert [beat["sequence"] for beat in portal.beats] == list(range(len(portal.beats)))


def _lost(portal: Portal, browser: Browser) -> tuple[Tab, int]:
    """A page whose claim is somebody else's now, and how many beats it sent."""
    review, tab = portal.begin(browser)
    portal.desk.sql.execute("UPDATE reviews SET claimed_by = 'bob' WHERE id = %s", (review,))
    _work(tab, TICK)
    tab.await_("window.stopped === 409")
    return tab, len(portal.beats)


def test_a_stopwatch_whose_claim_is_lost_does_not_go_on(portal: Portal, browser: Browser) -> None:
    tab, heard = _lost(portal, browser)
    tab.evaluate("window.clock.resume()")
    _work(tab, 1.5 * TICK)
    assert len(portal.beats) == heard


def test_whoever_has_lost_the_claim_is_told_and_the_page_falls_silent(portal: Portal, browser: Browser) -> None:
    tab, heard = _lost(portal, browser)
    _work(tab, 1.5 * TICK)
    assert len(portal.beats) == heard


def test_the_module_is_public_and_is_sent_again_only_where_it_has_changed(portal: Portal) -> None:
    first = local_http.get(f"{portal.ops}/static/worktime.js")
    assert (first.status_code, first.headers["access-control-allow-origin"]) == (200, "*")
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    again = local_http.get(f"{portal.ops}/static/worktime.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
