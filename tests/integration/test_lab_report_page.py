"""The report about a pack in a real browser: on a telephone, with long names and names from right to left, by keys alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.lab.report import as_html
from shared.automations.pack import NEVER
from tests.browser import running_browser
from tests.lab_report import made_up

if TYPE_CHECKING:
    from pathlib import Path

LONG = "aVeryLongName" * 12


def test_a_report_fits_a_telephone_and_its_wide_tables_are_reached_by_keys(chromium: str, tmp_path: Path) -> None:
    page, profile = tmp_path / "report.html", tmp_path / "profile"
    page.write_text(as_html(made_up([LONG, "pay", "\u05d7\u05e9\u05d1\u05d5\u05df"]), []), encoding="utf-8")
    profile.mkdir()
    with running_browser(chromium, profile) as browser:
        tab = browser.open("about:blank")
        browser.call("Emulation.setDeviceMetricsOverride", tab.session, width=375, height=800, deviceScaleFactor=1, mobile=True)
        browser.call("Page.navigate", tab.session, url=page.as_uri())
        tab.await_("document.readyState === 'complete' && document.querySelector('svg') !== null")
        assert tab.evaluate("[innerWidth, document.documentElement.scrollWidth]") == [375, 375]
        hidden = "[...document.querySelectorAll('table')].filter((table) => table.scrollWidth > table.parentElement.clientWidth)"
        assert tab.evaluate(f"{hidden}.length") > 0
        assert tab.evaluate(f"{hidden}.every((table) => table.parentElement.tabIndex === 0)")
        # Figures are never beside the plot that they belong to, nor on the name of its axis.
        boxes = "[...svg.querySelectorAll('text')].map((text) => text.getBoundingClientRect())"
        apart = "(a, b) => a.right <= b.left + 1 || b.right <= a.left + 1 || a.bottom <= b.top + 1 || b.bottom <= a.top + 1"
        plots = "[...document.querySelectorAll('svg')].slice(0, 3)"
        assert tab.evaluate(
            f"{plots}.every((svg) => {{ const all = {boxes}; return all.every((a) => all.every((b) => a === b || ({apart})(a, b))) }})"
        )


def test_thresholds_are_said_in_words() -> None:
    found = made_up()
    (first, *_), tier = found.pack.certificates, found.pack.tiers[0].name
    first.thresholds[tier] = NEVER  # type: ignore[index]  # a dictionary of this test's own
    shown = as_html(found, [])
    assert f"{tier} never" in shown
    assert f"{tier} from 0." in shown
    assert "{&#x27;" not in shown
