"""An attempt's output on its way into the store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from windlass.clock import ManualClock
from windlass.errors import Refused, Unavailable
from windlass.model.masking import Masker
from windlass.steps.log_pipe import LogPipe


class Chunks:
    """Keeps what is stored; may be told to fail or to wait."""

    def __init__(self) -> None:
        """Start empty."""
        self.rows: list[tuple[int, str, bytes]] = []
        self.asked = asyncio.Event()
        self.stored = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.error: Exception | None = None

    async def __call__(self, seq: int, at: int, stream: Any, data: bytes) -> None:
        self.asked.set()
        await self.open.wait()
        if self.error:
            raise self.error
        assert at > 0
        self.rows.append((seq, stream, data))
        self.stored.set()

    def text(self, stream: str | None = None) -> bytes:
        return b"".join(data for _, one, data in self.rows if stream in (None, one))


@pytest.fixture
def chunks() -> Chunks:
    return Chunks()


def pipe(chunks: Chunks, **settings: Any) -> LogPipe:
    return LogPipe(chunks, clock=ManualClock(), **settings)


async def test_output_is_cut_into_numbered_chunks(chunks: Chunks) -> None:
    log = pipe(chunks, chunk_bytes=10)
    await log.write(b"a" * 25)
    await log.write(b"b" * 3, "stderr")
    totals = await log.close()
    assert [row[:2] for row in chunks.rows] == [(1, "stdout"), (2, "stdout"), (3, "stdout"), (4, "stderr")]
    assert chunks.text() == b"a" * 25 + b"bbb"
    assert (totals.bytes_out, totals.log_bytes, totals.left_out, totals.lost) == (28, 28, 0, 0)


async def test_little_output_is_stored_soon(chunks: Chunks) -> None:
    log = pipe(chunks, flush_after=0.001)
    await log.write(b"x\n")
    await chunks.stored.wait()
    assert chunks.rows == [(1, "stdout", b"x\n")]
    await log.close()


async def test_writes_between_two_flushes_become_one_chunk(chunks: Chunks) -> None:
    log = pipe(chunks, flush_after=60)
    for _ in range(100):
        await log.write(b"line\n")
    await log.flush()
    assert chunks.rows == [(1, "stdout", b"line\n" * 100)]
    await log.close()


async def test_the_order_of_streams_is_kept_but_never_a_chunk_for_each_line(chunks: Chunks) -> None:
    log = pipe(chunks, flush_after=60)
    for _ in range(3):
        await log.write(b"o\n")
        await log.write(b"e\n", "stderr")
    await log.flush()
    assert [row[1:] for row in chunks.rows] == [("stdout", b"o\n"), ("stderr", b"e\n")] * 3
    for _ in range(1000):
        await log.write(b"o\n")
        await log.write(b"e\n", "stderr")
    await log.close()
    assert [row[1:] for row in chunks.rows[6:]] == [("stdout", b"o\n" * 1000), ("stderr", b"e\n" * 1000)]


async def test_a_slow_store_holds_the_writer_back(chunks: Chunks) -> None:
    log = pipe(chunks, chunk_bytes=10, flush_after=60)
    chunks.open.clear()
    writing = asyncio.ensure_future(log.write(b"x" * 100))
    await chunks.asked.wait()
    assert not writing.done()
    chunks.open.set()
    await writing
    assert chunks.text() == b"x" * 100
    await log.close()


async def test_a_cancelled_writer_loses_nothing(chunks: Chunks) -> None:
    log = pipe(chunks, chunk_bytes=10, flush_after=60)
    chunks.open.clear()
    writing = asyncio.ensure_future(log.write(b"x" * 100))
    await chunks.asked.wait()
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    chunks.open.set()
    await log.close()
    assert chunks.text() == b"x" * 100


@pytest.mark.promise("O13", part="masked")
async def test_secrets_are_masked_across_writes_and_streams_apart(chunks: Chunks) -> None:
    log = pipe(chunks, masker=Masker(["hunter2-secret"]), flush_after=60)
    await log.write(b"pass: hunter2-")
    await log.write(b"hunter2-secret!", "stderr")
    await log.flush()
    assert chunks.text("stdout") == b"pass: "
    await log.write(b"secret\n")
    await log.close()
    assert chunks.text("stdout") == b"pass: ***\n"
    assert chunks.text("stderr") == b"***!"


@pytest.mark.promise("O13", part="masked")
async def test_what_cannot_be_masked_is_dropped_visibly(chunks: Chunks, monkeypatch: pytest.MonkeyPatch) -> None:
    masker = Masker(["hunter2-secret"])
    monkeypatch.setattr(masker, "find", lambda _: 1 / 0)
    log = pipe(chunks, masker=masker)
    await log.write(b"hunter2-secret and more")
    totals = await log.close()
    assert b"hunter2" not in chunks.text()
    assert b"[windlass: 23 bytes are left out, they could not be masked]" in chunks.text()
    assert totals.lost == 23


async def test_an_over_long_output_keeps_its_ends_and_says_how_much_is_missing(chunks: Chunks) -> None:
    log = pipe(chunks, quota=1000, chunk_bytes=100)
    for number in range(1000):
        await log.write(b"%08d\n" % number)
    totals = await log.close()
    assert chunks.text("stdout").startswith(b"00000000\n00000001\n")
    assert chunks.text("stdout").endswith(b"00000998\n00000999\n")
    assert len(chunks.text("stdout")) == 1000
    assert chunks.text("system").decode().splitlines() == [
        "[windlass: the log quota of 1,000 bytes is used up; of what follows the last 250 are kept]",
        "[windlass: 8,000 bytes are left out here]",
    ]
    assert (totals.bytes_out, totals.left_out) == (9000, 8000)
    assert [row[0] for row in chunks.rows] == list(range(1, len(chunks.rows) + 1))


async def test_a_store_that_fails_stops_nothing_and_is_told(chunks: Chunks) -> None:
    log = pipe(chunks, chunk_bytes=10)
    await log.write(b"a" * 10)
    chunks.error = OSError(28, "No space left on device")
    await log.write(b"b" * 50)
    chunks.error = None
    totals = await log.close()
    assert totals.failure is not None
    assert totals.lost == 50
    assert chunks.rows[-1] == (
        2, "system", b"[windlass: 50 bytes could not be stored here: [Errno 28] No space left on device]\n"
    )  # fmt: skip


async def test_a_store_out_of_reach_is_waited_for_and_holds_no_step_up(chunks: Chunks, tmp_path: Path) -> None:
    log = pipe(chunks, chunk_bytes=100, folder=tmp_path, quota=10_000_000)
    await log.write(b"begin\n" * 20)
    chunks.error = Unavailable("The database cannot be reached.")
    lines = [f"{number} of many\n".encode() for number in range(200_000)]
    for at in range(0, len(lines), 500):
        await log.write(b"".join(lines[at : at + 500]), "stderr" if at % 1000 else "stdout")
    assert not list(tmp_path.iterdir()), "the file has no name that a step could find"
    assert chunks.text() == b"begin\n" * 20
    chunks.error = None
    totals = await log.close()
    assert chunks.text() == b"begin\n" * 20 + b"".join(lines)
    assert [row[0] for row in chunks.rows] == list(range(1, len(chunks.rows) + 1))
    assert {row[1] for row in chunks.rows} == {"stdout", "stderr"}
    assert (totals.lost, totals.unsaid, totals.chunks) == (0, b"", len(chunks.rows))


async def test_without_a_file_a_step_is_held_up_once_memory_is_used_up(chunks: Chunks) -> None:
    log = pipe(chunks, quota=10_000_000)
    chunks.error = Unavailable("The database cannot be reached.")
    writing = asyncio.ensure_future(log.write(b"a" * 3_000_000))
    await chunks.asked.wait()
    more = asyncio.ensure_future(log.write(b"b" * 100_000))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not more.done()
    chunks.error = None
    await asyncio.gather(writing, more)
    await log.close()
    assert chunks.text() == b"a" * 3_000_000 + b"b" * 100_000


async def test_what_is_refused_is_not_tried_again_and_is_told(chunks: Chunks) -> None:
    log = pipe(chunks, chunk_bytes=10)
    await log.write(b"a" * 10)
    chunks.error = Refused("its worker was found gone")
    await log.write(b"b" * 50)
    chunks.error = None
    await log.write(b"c" * 10)
    totals = await log.close()
    assert chunks.rows == [(1, "stdout", b"a" * 10)]
    assert (totals.lost, str(totals.failure)) == (60, "its worker was found gone")


async def test_a_log_goes_on_where_the_store_answers_again_and_says_what_is_missing(chunks: Chunks) -> None:
    log = pipe(chunks, chunk_bytes=10, patience=0.01, leaving=lambda: True)
    await log.write(b"a" * 10)
    chunks.error = Unavailable("The disk is full.")
    await log.write(b"b" * 50)
    await log.flush()
    chunks.error = None
    await log.write(b"c" * 10)
    totals = await log.close()
    told = b"[windlass: 50 bytes could not be stored here: The disk is full.]\n"
    assert chunks.rows == [(1, "stdout", b"a" * 10), (2, "system", told), (3, "stdout", b"c" * 10)]
    assert (totals.lost, totals.unsaid, totals.chunks) == (50, b"", 3)


async def test_what_is_lost_to_the_end_is_left_to_whoever_records_the_end(chunks: Chunks) -> None:
    log = pipe(chunks, chunk_bytes=10, patience=0.01, leaving=lambda: True)
    await log.write(b"a" * 10)
    chunks.error = Unavailable("The disk is full.")
    await log.write(b"b" * 50)
    totals = await log.close()
    assert totals.unsaid == b"[windlass: 50 bytes could not be stored here: The disk is full.]\n"
    assert (totals.lost, totals.chunks, totals.log_bytes) == (50, 2, 10 + len(totals.unsaid))


async def test_closing_twice_and_writing_late_do_no_harm(chunks: Chunks) -> None:
    log = pipe(chunks)
    await log.write(b"x")
    first = await log.close()
    await log.write(b"late")
    assert await log.close() == first
    assert chunks.text() == b"x"
