"""What leaves for Sentry says where and what kind, and nothing that a customer wrote; shown on the envelopes of a real client."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import sentry_sdk
from pydantic import SecretStr
from sentry_sdk.transport import Transport

from shared.settings import ProcessSettings
from shared.telemetry.errors import check_in, only_what_is_known, report_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentry_sdk.envelope import Envelope

CANARY = "canary-4711"
SETTINGS = ProcessSettings(sentry_dsn=SecretStr("https://key@sentry.invalid/1"), environment="test")


class Captured(Transport):
    """Keeps the bytes that would leave."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.events: list[Any] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.sent.append(envelope.serialize())
        if (event := envelope.get_event()) is not None:
            self.events.append(event)


@pytest.fixture
def captured() -> Iterator[Captured]:
    """The product's own client, with its line to the world replaced."""
    transport = Captured()
    with sentry_sdk.isolation_scope():
        report_errors(SETTINGS, "gateway")
        client = sentry_sdk.get_client()
        client.transport = transport
        yield transport
        client.close(timeout=0)
    sentry_sdk.get_global_scope().set_client(None)


def _fail(customer_text: str) -> None:
    local = {"text": customer_text}
    raise ValueError(f"cannot read {local}")


def test_nothing_is_reported_without_an_address() -> None:
    report_errors(ProcessSettings(), "gateway")
    assert not sentry_sdk.get_client().is_active()


def test_no_text_of_a_customer_leaves_with_an_error(captured: Captured) -> None:
    scope = sentry_sdk.get_isolation_scope()
    scope.set_extra("body", CANARY)
    scope.set_context("claim", {"text": CANARY})
    scope.set_user({"id": CANARY})
    sentry_sdk.add_breadcrumb(message=CANARY, data={"q": CANARY})
    scope.add_event_processor(lambda event, _hint: {**event, "request": {"data": CANARY, "headers": {"a": CANARY}, "query_string": CANARY}})
    try:
        _fail(CANARY)
    except ValueError as error:
        error.add_note(CANARY)
        sentry_sdk.capture_exception(error)
    (event,) = captured.events
    assert CANARY.encode() not in b"".join(captured.sent)
    (value,) = event["exception"]["values"]
    assert (value["type"], value["value"]) == ("ValueError", "(withheld)")
    assert value["stacktrace"]["frames"][-1]["function"] == "_fail"
    assert not any("vars" in frame for frame in value["stacktrace"]["frames"])
    assert event["tags"]["service"] == "gateway"
    assert event["environment"] == "test"


def test_causes_lose_their_messages_too(captured: Captured) -> None:
    try:
        try:
            _fail(CANARY)
        except ValueError as error:
            raise RuntimeError(CANARY) from error
    except RuntimeError as error:
        sentry_sdk.capture_exception(error)
    assert CANARY.encode() not in b"".join(captured.sent)
    assert {value["type"] for value in captured.events[0]["exception"]["values"]} == {"ValueError", "RuntimeError"}


def test_groups_lose_their_messages_too(captured: Captured) -> None:
    sentry_sdk.capture_exception(ExceptionGroup(CANARY, [ValueError(CANARY), TypeError(CANARY)]))
    assert len(captured.events) == 1
    assert CANARY.encode() not in b"".join(captured.sent)


def test_log_lines_that_become_reports_leave_without_their_text(captured: Captured) -> None:
    logging.getLogger("some.library").error("failed on %s", CANARY, extra={"row": CANARY})
    sentry_sdk.capture_message(CANARY)
    assert captured.events
    assert CANARY.encode() not in b"".join(captured.sent)


def test_a_log_line_of_ours_is_reported_by_its_name_alone(captured: Captured) -> None:
    # As structlog hands it to the standard library.
    logging.getLogger("shared.web").error({"event": "request_failed", "detail": CANARY})
    assert [event["message"] for event in captured.events] == ["request_failed"]
    assert CANARY.encode() not in b"".join(captured.sent)


def test_jobs_check_in_where_errors_are_reported(captured: Captured) -> None:
    check_in(ProcessSettings(), "recoup-steward")
    assert not captured.sent
    check_in(SETTINGS, "recoup-steward")
    (_, item) = (json.loads(line) for line in captured.sent[0].splitlines()[1:])
    assert item.items() >= {"type": "check_in", "monitor_slug": "recoup-steward", "status": "ok"}.items()
    assert item["check_in_id"]
    assert item["monitor_config"] == {"schedule": {"type": "interval", "value": 1, "unit": "minute"}}


def test_an_event_without_anything_known_survives() -> None:
    assert only_what_is_known({"message": CANARY, "exception": {"values": []}}, {}) == {"exception": {"values": []}}
