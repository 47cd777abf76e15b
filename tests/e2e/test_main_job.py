"""The main job, end to end: webhooks in, a real broker between, decisions back, every fact in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.company import company
from tests.harness.history import check, settle
from tests.harness.line import ReadyLine
from tests.harness.material import complaints, invoices

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def test_every_invoice_and_a_thousand_complaints_sent_twice_and_shuffled_are_each_decided_once(line: ReadyLine, public_data: Path) -> None:
    events = [*invoices(public_data), *complaints(public_data, 1000)]
    assert len(events) >= 1039
    with company(line) as acme:
        acme.send_all(events, seed=1)
        settle(acme, events)
        check(acme, events)
