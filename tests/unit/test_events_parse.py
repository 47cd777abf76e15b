"""Events in, one canonical form out."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Malformed, UnsupportedMedia
from shared.events.attributes import LONGEST, timestamp
from shared.events.envelope import Event
from shared.events.parse import MAX_BATCH, batch, binary, each, structured

MINIMAL: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/a", "type": "t"}
HEADERS = {f"ce-{name}": value for name, value in MINIMAL.items()}


def _with(**members: object) -> bytes:
    return orjson.dumps({**MINIMAL, **members})


def _faults(error: Malformed) -> dict[str, str]:
    errors = error.context["errors"]
    assert isinstance(errors, list)
    return {fault["field"]: fault["problem"] for fault in errors}


_ALLOWED = st.characters(exclude_categories=["Cs", "Cc", "Cn"])
_EVENTS = st.builds(
    Event,
    id=st.text(_ALLOWED, min_size=1, max_size=60),
    source=st.from_regex(r"/[a-z0-9/._~-]{0,30}", fullmatch=True),
    type=st.from_regex(r"[a-z]+(\.[a-z0-9]+){0,4}", fullmatch=True).filter(lambda t: len(t) < 200),
    time=st.none() | st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # hypothesis wants naive bounds
    subject=st.none() | st.text(_ALLOWED, min_size=1, max_size=60),
    data=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(_ALLOWED),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(_ALLOWED), inner, max_size=3),
    ),
    extensions=st.dictionaries(
        st.from_regex(r"x[a-z0-9]{0,19}", fullmatch=True), st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.text(_ALLOWED, max_size=20)
    ),
)


@given(_EVENTS)
def test_canonical_bytes_are_read_back_as_the_same_event(event: Event) -> None:
    again = structured(event.canonical())
    assert again == event
    assert again.canonical() == event.canonical()


def test_the_three_ways_of_sending_one_event_give_the_same_bytes() -> None:
    members = {"time": "2026-01-02T03:04:05+02:00", "subject": "é"}
    one = structured(_with(**members, data={"b": 1, "a": 2}, datacontenttype="application/json; charset=utf-8"))
    (two,) = batch(b"[" + _with(**members, data={"a": 2, "b": 1}) + b"]")
    three = binary(
        {**HEADERS, "ce-time": "2026-01-02T01:04:05Z", "CE-Subject": "%C3%A9", "Content-Type": "Application/JSON"}, b'{"a": 2, "b": 1}'
    )
    four = structured(_with(**members, data_base64=base64.b64encode(b'{"b":1,"a":2}').decode(), datacontenttype="application/json"))
    assert one.canonical() == two.canonical() == three.canonical() == four.canonical()


def test_a_trace_does_not_make_another_event() -> None:
    traced = structured(_with(data={}, traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01"))
    assert traced.canonical() == structured(_with(data={})).canonical()
    assert traced.extensions["traceparent"]


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": None}, "id"),
        ({"id": 7}, "id"),
        ({"id": "a\nb"}, "id"),
        ({"id": "\ufffe"}, "id"),
        ({"id": "x" * (LONGEST["id"] + 1)}, "id"),
        ({"source": "a b"}, "source"),
        ({"source": "/ü"}, "source"),
        ({"source": "/%zz"}, "source"),
        ({"type": True}, "type"),
        ({"subject": ""}, "subject"),
        ({"time": "2026-11-23"}, "time"),
        ({"time": "2026-11-23T08:30:00"}, "time"),
        ({"time": "2016-12-31T23:59:60Z"}, "time"),
        ({"time": "0001-01-01T00:00:00+10:00"}, "time"),
        ({"time": 1}, "time"),
        ({"datacontenttype": "json"}, "datacontenttype"),
        ({"dataschema": "relative"}, "dataschema"),
        ({"Upper": "x"}, "Upper"),
        ({"with_underscore": "x"}, "with_underscore"),
        ({"x": {"a": 1}}, "x"),
        ({"x": 1.5}, "x"),
        ({"x": 2**31}, "x"),
    ],
)
def test_an_attribute_that_is_wrong_is_named_with_what_to_fix(members: dict[str, object], field: str) -> None:
    with pytest.raises(Malformed) as refused:
        structured(_with(**members))
    assert list(_faults(refused.value)) == [field]


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(Malformed) as refused:
        structured(b'{"time":"yesterday"}')
    assert list(_faults(refused.value)) == ["specversion", "id", "source", "type", "time"]


@pytest.mark.parametrize("raw", [b"[]", b"1", b'"x"', b"null"])
def test_an_event_is_an_object(raw: bytes) -> None:
    with pytest.raises(Malformed):
        structured(raw)


def test_null_attributes_are_unset() -> None:
    event = structured(_with(subject=None, time=None, x=None, datacontenttype=None))
    assert (event.subject, event.time, dict(event.extensions), event.datacontenttype) == (None, None, {}, "application/json")


@pytest.mark.parametrize(
    "members",
    [
        {"data": {}, "data_base64": "e30="},
        {"data_base64": "e30="},
        {"data_base64": "e30", "datacontenttype": "application/json"},
        {"data_base64": 7, "datacontenttype": "application/json"},
        {"data_base64": "/w==", "datacontenttype": "text/plain"},
        {"data_base64": "AA==", "datacontenttype": "text/plain"},
        {"data": {"a": 1}, "datacontenttype": "application/xml"},
    ],
)
def test_data_that_do_not_fit_their_type_are_refused(members: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        structured(_with(**members))


@pytest.mark.parametrize("media_type", ["application/octet-stream", "application/json; charset=utf-16", "image/png"])
def test_content_that_no_automation_could_read_is_refused_as_unsupported(media_type: str) -> None:
    with pytest.raises(UnsupportedMedia):
        binary({**HEADERS, "content-type": media_type}, b"{}")


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        ('"quoted \\"string\\""', 'quoted "string"'),
        ("%25%41", "%A"),
        ("%2541", "%41"),
        ("plain", "plain"),
    ],
)
def test_header_values_are_unquoted_and_percent_decoded_once(sent: str, read: str) -> None:
    assert binary({**HEADERS, "ce-subject": sent}, b"").subject == read


@pytest.mark.parametrize("value", ["%C0%A0", "%ff", "ü", "%00"])
def test_header_values_that_are_not_percent_encoded_utf8_are_refused(value: str) -> None:
    with pytest.raises(Malformed):
        binary({**HEADERS, "ce-subject": value}, b"")


@pytest.mark.parametrize("extra", [{"ce-datacontenttype": "text/xml"}, {"ce-data": "x"}, {"CE-Id": "2"}])
def test_headers_that_would_say_something_twice_are_refused(extra: dict[str, str]) -> None:
    with pytest.raises(Malformed):
        binary({**HEADERS, **extra}, b"")


def test_a_body_without_content_type_is_refused() -> None:
    with pytest.raises(Malformed, match="Content-Type"):
        binary(HEADERS, b"{}")


def test_a_batch_tells_which_members_are_bad() -> None:
    raw = b"[" + _with() + b',7,{"specversion":"1.0","id":"1","source":"/a"},' + _with(x=[]) + b"]"
    with pytest.raises(Malformed) as refused:
        batch(raw)
    errors = refused.value.context["errors"]
    assert isinstance(errors, list)
    assert [(fault["index"], fault["field"]) for fault in errors] == [(1, ""), (2, "type"), (3, "x")]
    assert [isinstance(member, Event) for member in each(raw)] == [True, False, False, False]


@pytest.mark.parametrize("raw", [b"{}", b"[" + b",".join([_with()] * (MAX_BATCH + 1)) + b"]"])
def test_a_batch_is_a_list_of_at_most_a_thousand(raw: bytes) -> None:
    with pytest.raises(Malformed):
        each(raw)


def test_data_as_deep_as_allowed_alone_can_still_be_read_in_their_envelope() -> None:
    deepest = b"[" * 64 + b"]" * 64
    event = binary({**HEADERS, "content-type": "application/json"}, deepest)
    assert structured(event.canonical()) == event
    assert batch(b"[" + event.canonical() + b"]") == [event]


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)))  # noqa: DTZ001  # hypothesis wants naive bounds
def test_every_time_that_python_writes_is_read_again(moment: datetime) -> None:
    assert timestamp(moment.isoformat() + "Z") == moment.replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-23t08:30:00z", "2026-11-23T08:30:00.123456789+00:00", "2026-11-23T00:30:00-08:00"])
def test_every_form_of_rfc_3339_is_read(text: str) -> None:
    assert timestamp(text).replace(microsecond=0) == datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
