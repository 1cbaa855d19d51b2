"""The W3C trace context: what is read, what is ignored, and ids that are the same wherever they are made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.model.trace_context import TraceContext, parse_traceparent, span_id_of, trace_id_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RUN = bytes.fromhex("0190b6f5d5c07f3a8a1b2c3d4e5f6071")


@pytest.mark.parametrize(
    ("text", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-bring", True),
    ],
)
def test_a_trace_context_is_read(text: str, *, sampled: bool) -> None:
    assert parse_traceparent(text) == TraceContext(TRACE, SPAN, sampled)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-1",
    ],
)
def test_what_is_none_is_ignored(text: str | None) -> None:
    assert parse_traceparent(text) is None


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    found = parse_traceparent(text)
    assert found is None or parse_traceparent(str(found)) == found


def test_ids_follow_from_what_they_stand_for() -> None:
    made = [span_id_of(RUN), span_id_of(RUN, 0), span_id_of(RUN, 0, 1), span_id_of(RUN, 0, 2), span_id_of(RUN, 1)]
    assert len(set(made)) == len(made)
    assert made[2] == span_id_of(RUN, 0, 1)
    own = TraceContext(trace_id_of(RUN, None), made[0])
    assert parse_traceparent(str(own)) == own
    assert trace_id_of(RUN, TraceContext(TRACE, SPAN)) == TRACE
