"""A trace goes on where its header is well formed, and starts anew where it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.telemetry import trace

HEADER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("flags", ["00", "01", "ff"])
def test_a_child_keeps_trace_and_flags_and_gets_a_span_of_its_own(flags: str) -> None:
    header = HEADER[:-2] + flags
    child = trace.continued(header)
    assert trace.is_valid(child)
    assert trace.trace_id(child) == trace.trace_id(header)
    assert child.endswith(f"-{flags}")
    assert child != header


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "garbage",
        HEADER.upper(),
        HEADER + "-extra",
        HEADER + "\n",
        HEADER[:-1],
        "ff" + HEADER[2:],
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
    ],
)
def test_a_header_that_is_absent_or_malformed_starts_a_new_trace(header: str | None) -> None:
    fresh = trace.continued(header)
    assert trace.is_valid(fresh)
    assert trace.trace_id(fresh) not in (header or "")


@given(st.text())
def test_whatever_comes_in_what_goes_out_is_well_formed(header: str) -> None:
    assert trace.is_valid(trace.continued(header))


def test_new_traces_differ() -> None:
    assert len({trace.trace_id(trace.new()) for _ in range(1000)}) == 1000
