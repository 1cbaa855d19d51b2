"""The first and the last of an over-long output are kept."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from windlass.model.log_quota import LogQuota, Piece


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=40), st.integers(0, 200))
def test_head_and_tail_are_kept_and_every_byte_is_accounted_for(parts: list[bytes], limit: int) -> None:
    quota = LogQuota(limit)
    head = b"".join(quota.admit(Piece(0, "stdout", part)) for part in parts)
    tail = b"".join(piece.data for piece in quota.close())
    whole = b"".join(parts)
    assert len(head) + len(tail) <= limit
    assert len(head) + len(tail) + quota.left_out == len(whole)
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert (quota.left_out == 0) == (len(whole) <= limit)


def test_the_tail_keeps_the_order_and_time_of_its_streams() -> None:
    quota = LogQuota(16)
    assert quota.admit(Piece(1, "stdout", b"h" * 12)) == b"h" * 12
    assert quota.admit(Piece(2, "stdout", b"xxab")) == b""
    assert quota.admit(Piece(3, "stderr", b"cd")) == b""
    assert quota.close() == [Piece(2, "stdout", b"ab"), Piece(3, "stderr", b"cd")]
    assert quota.left_out == 2


def test_many_small_pieces_cost_little() -> None:
    quota = LogQuota(1_000_000)
    for _ in range(100_000):
        quota.admit(Piece(0, "stdout", b"x" * 20))
    assert len(quota.close()) < 200
