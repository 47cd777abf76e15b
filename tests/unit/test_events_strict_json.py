"""What the parsers of JSON disagree on never comes in."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Malformed
from shared.events.parse import parse_json

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
)


@given(_VALUES)
def test_every_ordinary_value_is_read_as_any_parser_reads_it(value: object) -> None:
    assert parse_json(json.dumps(value).encode()) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\\u0dD8e1-. NaIfity', max_size=60).map(str.encode))
def test_any_bytes_are_either_refused_as_malformed_or_can_be_written_again(raw: bytes) -> None:
    try:
        value = parse_json(raw)
    except Malformed:
        return
    assert parse_json(orjson.dumps(value)) == value


@pytest.mark.parametrize(
    ("raw", "hint"),
    [
        (b"\xff\xfe{}", "UTF-8"),
        (b'\xef\xbb\xbf{"a":1}', "not JSON"),
        (b'{"a":"\xed\xa0\x80"}', "UTF-8"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":-Infinity}', "NaN"),
        (b'{"a":1e999}', "too large"),
        (b'{"a":"\\u0000"}', "NUL"),
        (b'{"a\\\\\\u0000":1}', "NUL"),
        (b'{"a":"\x00"}', "not JSON"),
        (b'{"a":"\\ud800"}', "surrogate"),
        (b'{"\\uDC00":1}', "surrogate"),
        (b'{"a":1,"a":1}', "twice"),
        (b'{"a":1,"\\u0061":2}', "twice"),
        (b'{"a":9223372036854775808}', "64 bits"),
        (b"1" * 5000, "64 bits"),
        (b"[" * 100_000, "deep"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "deep"),
        (b"", "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b'{"a":1}x', "not JSON"),
    ],
)
def test_a_body_that_parsers_read_differently_is_refused_with_what_to_fix(raw: bytes, hint: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse_json(raw)
    assert hint in refused.value.message


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'"\\\\u0000"', "\\u0000"),
        (b'"\\ud83d\\ude00"', "😀"),
        (b"[" * 64 + b"]" * 64, None),
        (b'"' + b"[" * 1000 + b'"', "[" * 1000),
        (b"-9223372036854775808", -(2**63)),
    ],
)
def test_what_only_looks_dangerous_is_read(raw: bytes, value: object) -> None:
    assert value is None or parse_json(raw) == value
    parse_json(raw)


@pytest.mark.parametrize("raw", [b'"' + b'\\"' * 130_000, b"\\" * 260_000, b'["' * 130_000, b"{" * 260_000, b'"\\u' * 80_000])
@pytest.mark.timeout(2)
def test_no_body_within_the_cap_takes_long_to_refuse(raw: bytes) -> None:
    with pytest.raises(Malformed):
        parse_json(raw)


def test_a_refusal_never_repeats_the_body() -> None:
    with pytest.raises(Malformed) as refused:
        parse_json(b'{"name": "Canary Bird", "name": "Canary Bird"}')
    assert "Canary" not in repr(refused.value.args) + repr(refused.value.context)
    assert refused.value.__cause__ is None
