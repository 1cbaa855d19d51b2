"""Server-sent events out of bytes, wherever the chunks are cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from windlass.client.events import ServerEvent, server_events

TEXT = (
    b': hello\n\nid: 7\nevent: run.completed\ndata: {"a": "\xc3\xbc"}\n\n'
    b"data: one\r\ndata: two\r\n\r\nid: 9\ndata: torn"
)
EVENTS = [ServerEvent("run.completed", '{"a": "ü"}', "7"), ServerEvent("message", "one\ntwo")]


@given(st.lists(st.integers(0, len(TEXT))))
def test_events_do_not_depend_on_where_chunks_end(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(TEXT)]
    assert list(server_events(TEXT[a:b] for a, b in pairwise(edges))) == EVENTS


def test_data_reads_as_json() -> None:
    assert EVENTS[0].json() == {"a": "ü"}
