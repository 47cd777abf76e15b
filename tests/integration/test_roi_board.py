"""The page for the board, read back from its PDF."""

from __future__ import annotations

import re
import zlib
from base64 import a85decode
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import pytest
from reportlab.pdfbase.pdfmetrics import stringWidth

from services.roi.answers import soundness
from services.roi.period import Bucket
from services.roi.schemas import Soundness
from services.steward import service as steward
from shared.db import unit_of_work
from shared.ledger import posting
from shared.ledger import repository as ledger
from shared.measure.integrity import Verdict
from shared.money import Money, currency
from tests.horizon import settle
from tests.integration.facts import decide, hours_ago, receive
from tests.roi_world import Board

TIMES = [str(300 + 11 * (number % 31)) for number in range(260)]


def page(board: Board, **parameters: str) -> bytes:
    answer = board.get("board.pdf", **parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    return answer.content


def drawing(document: bytes) -> bytes:
    """The commands of its one page."""
    assert document.startswith(b"%PDF-1.")
    assert len(re.findall(rb"/Type /Page\b", document)) == 1
    assert b"/Subtype /Image" not in document, "plots are lines, not pixels"
    (packed,) = re.findall(rb"stream\r?\n(.*?)endstream", document, re.DOTALL)
    return zlib.decompress(a85decode(b"<~" + packed.strip(), adobe=True))


def words(document: bytes) -> str:
    """Its text in the order that it is drawn in."""
    found = re.findall(rb"\((.*?)(?<!\\)\) Tj", drawing(document), re.DOTALL)
    return "\n".join(re.sub(rb"\\([0-7]{3}|[()\\])", _unescaped, text).decode("cp1252") for text in found)


def number(seal: dict[str, Any]) -> int:
    return int(seal["n"])


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return bytes([int(escape[1], 8)]) if len(escape[1]) == 3 else escape[1]


def test_the_page_says_at_least_how_much_and_what_that_does_not_mean(board: Board) -> None:
    board.work(TIMES, hours=26)
    board.work(TIMES[:60], hours=2, automation="invoices")
    board.rate("labour_hour", "40")
    settle(board.line)
    steward.seal_ledger(board.line)
    text = words(page(board))
    summary = board.ask("summary")
    at_least = Decimal(summary["total"]["saved"]["at_least_hours"]).quantize(Decimal("0.1"), ROUND_FLOOR)
    # Downwards: the next tenth would be more than what is certain.
    assert text.index(f"At least {at_least} hours saved") < text.index("Best estimate")
    for shown in ("Grade A", "capacity, not cash", "What this does not mean", "not money and not jobs", "By automation, hours", "invoices"):
        assert shown in text
    seal = board.ask("ledger/seals")["items"][0]
    assert f"Ledger seal {seal['n']} of" in text
    assert f"root {seal['root']}" in text
    assert f"hash {seal['hash']}" in text


def test_why_no_labour_value_is_shown_is_said_as_it_is(board: Board) -> None:
    def shown() -> str:
        found = words(page(board)).splitlines()
        return found[found.index("Labour value, at least") + 1]

    board.rate("labour_hour", "40")
    assert shown() == "not known"
    board.work(TIMES[:20], hours=5)
    assert shown() == "not known", "there is no baseline yet"
    board.execute(
        "INSERT INTO baselines (id, tenant_id, automation, grade, mean_seconds, n, method, valid_from, expires_at) VALUES"
        " (gen_random_uuid(), 'acme', 'claims', 'D', 300, 1, 'm', now() - interval '9 days', now() + interval '9 days')"
    )
    assert shown() == "no lower bound", "a rate there is"
    board.rate("labour_hour", "40", "USD", days_ago=0.5)
    assert shown() == "no dated rate"


def test_currencies_that_are_in_no_figure_are_named(board: Board) -> None:
    board.work(TIMES[:40], hours=5)
    notice = "Money in USD is in no figure: no dated rate converts it to EUR."
    assert notice not in words(page(board))
    with unit_of_work(board.line) as connection:
        platform = Money(Decimal(5000), currency("USD"))
        ledger.post(connection, [posting.for_platform("acme", "claims", platform, hour=Bucket.HOUR.start(hours_ago(3)))])
    assert notice in words(page(board))


def test_of_many_automations_the_largest_figures_are_drawn_and_the_others_counted(board: Board) -> None:
    # So far apart that it does not matter how many of the cases are held out.
    board.execute(
        "INSERT INTO baselines (id, tenant_id, automation, grade, mean_seconds, variance_seconds2, n, method, valid_from, expires_at)"
        " SELECT gen_random_uuid(), 'acme', 'work' || n, 'B', 10 * 4 ^ n, 100, 500, 'm', now() - interval '9 days',"
        " now() + interval '9 days' FROM generate_series(1, 9) n"
    )
    for number in range(10):
        board.work(["100"] * 20, hours=5, automation=f"work{number}")
    found = words(page(board)).splitlines()
    drawn = found[found.index("By automation, hours") + 1 : found.index("What this does not mean")]
    assert [name for name in drawn if name.startswith("work")] == [f"work{number}" for number in range(9, 1, -1)]
    assert "and 2 more" in drawn
    assert "more" not in " ".join(words(page(board, automation="work3")).split("By automation, hours")[1].split("What this")[0])


def test_the_same_figures_give_the_same_bytes(board: Board) -> None:
    board.work(TIMES[:80])
    steady = {"as_of": board.ask("summary")["computed_through"]}
    assert page(board, **steady) == page(board, **steady)


def test_the_page_of_an_earlier_moment_stays_the_same_whatever_is_booked_and_sealed_later(board: Board) -> None:
    moments = [hours_ago(0).isoformat()]
    for _ in range(3):
        board.work(TIMES[:40], hours=5)
        settle(board.line)
        steward.seal_ledger(board.line)
        moments.append(hours_ago(0).isoformat())
    then = {moment: page(board, as_of=moment) for moment in moments}
    seals = board.ask("ledger/seals")["items"][::-1]
    assert "The ledger is not sealed yet." in words(then[moments[0]])
    assert f"hash {seals[-1]['hash']}" in words(then[moments[-1]])
    for moment, document in list(then.items())[1:]:
        newest = max((seal for seal in seals if datetime.fromisoformat(seal["sealed_at"]) <= datetime.fromisoformat(moment)), key=number)
        assert f"hash {newest['hash']}" in words(document)
    board.work(TIMES[:20], hours=5)
    settle(board.line)
    steward.seal_ledger(board.line)
    assert {moment: page(board, as_of=moment) for moment in moments} == then


def test_a_broken_experiment_claims_nothing(board: Board) -> None:
    board.work(TIMES)
    with unit_of_work(board.line) as connection:
        decide(connection, [case for case in receive(connection, 120) if case.arm == "automated"], tier="human")
    text = words(page(board))
    assert "No saving is shown" in text
    assert "The experiment is broken" in text
    assert "At least" not in text.split("Best estimate")[0]


def test_a_headline_with_many_reasons_ends_before_the_figures_begin(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    board.work(TIMES[:40])
    reasons = [f"automation{number}: 12 % of all cases were handled as if they were in the other arm" for number in range(30)]
    monkeypatch.setattr(soundness, "worst", lambda _: Soundness(integrity=Verdict.BROKEN, reasons=reasons))
    assert reasons[-1] in board.ask("summary")["headline"]
    lines = words(page(board)).split("Best estimate")[0].splitlines()
    headline = lines[lines.index("No saving is shown") + 1 :]
    assert headline[0].startswith("The experiment is broken")
    assert len(headline) == 4
    assert headline[-1].endswith(" \u2026")


def test_a_tenant_without_anything_gets_a_page_that_says_so(board: Board) -> None:
    board.execute("UPDATE tenants SET name = 'Łódź (株) & Söhne' WHERE id = 'acme'")
    text = words(page(board))
    assert "The ledger is not sealed yet." in text
    assert "?ód? (?) & Söhne" in text
    assert "No saving is shown for certain" in text


def test_what_simulated_people_saved_is_said_to_be_nothing_in_every_answer_and_on_the_page(board: Board) -> None:
    board.work(TIMES, hours=5)
    assert "SIMULATED" not in words(page(board))
    assert board.ask("summary")["simulated"] is False
    board.execute("UPDATE tenants SET simulated = true WHERE id = 'acme'")
    assert words(page(board)).startswith("SIMULATED: these people do not exist")
    assert board.ask("summary")["headline"].startswith("Simulated people, nothing of this was saved: ")
    for answer in ("summary", "timeseries", "breakdown", "evidence", "forecast", "bridge"):
        asked = {"by": "automation"} if answer == "breakdown" else {"earlier": hours_ago(2).isoformat()} if answer == "bridge" else {}
        assert board.ask(answer, **asked)["simulated"] is True, answer
    header, total, *_ = board.get("exports/summary").text.splitlines()
    assert dict(zip(header.split(","), total.split(","), strict=False))["simulated"] == "true"


def test_a_long_name_is_cut_before_the_period_begins(board: Board) -> None:
    name = "Muster " + "Versicherungsgesellschaft " * 7
    board.execute(f"UPDATE tenants SET name = '{name}' WHERE id = 'acme'")
    shown = words(page(board)).splitlines()[0]
    assert name.startswith(shown[:-1])
    assert shown.endswith("\u2026")
    # From the left margin to the period, which stands at the right one.
    assert stringWidth(shown, "Helvetica-Bold", 11) < 250
