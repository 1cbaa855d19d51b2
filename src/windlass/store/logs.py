"""Output of attempts in chunks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from windlass.store.transaction import Transaction, beside_others


class NewChunk(NamedTuple):
    """A piece of output to keep, under the claim that wrote it."""

    queue_id: int
    fence: int
    run_id: bytes
    task: int
    attempt: int
    seq: int
    at: int
    stream: str
    data: bytes


class Chunk(NamedTuple):
    """A piece of output as it is read."""

    task: int
    attempt: int
    seq: int
    at: int
    stream: str
    data: bytes


# Beside others: the claim is looked at once. Where it ends meanwhile, this came just before its end; a chunk that is
# there already stays as it is.
@beside_others
def append_chunks(tx: Transaction, chunks: Iterable[NewChunk]) -> int:
    """Keep chunks whose claim still stands; return how many were refused because it does not."""
    refused = 0
    holds: dict[tuple[int, int], bool] = {}
    rows = []
    for chunk in chunks:
        claim = (chunk.queue_id, chunk.fence)
        if claim not in holds:
            found = tx.cursor.execute(
                "SELECT 1 FROM queue WHERE id = ? AND fence = ? AND worker_id IS NOT NULL", claim
            ).fetchone()
            holds[claim] = found is not None
        if holds[claim]:
            rows.append(chunk[2:])
        else:
            refused += 1
    tx.cursor.executemany(
        "INSERT INTO log_chunks (run_id, task, attempt, seq, at, stream, data) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING",
        rows,
    )
    tx.hints.add("logs")
    return refused


def chunks_after(
    tx: Transaction, run_id: bytes, task: int, attempt: int, after: int = -1, *, limit: int = 64
) -> list[Chunk]:
    """Return up to `limit` chunks of one attempt after number `after`, in order."""
    rows = tx.cursor.execute(
        "SELECT task, attempt, seq, at, stream, data FROM log_chunks "
        "WHERE run_id = ? AND task = ? AND attempt = ? AND seq > ? ORDER BY seq LIMIT ?",
        (run_id, task, attempt, after, limit),
    )
    return [Chunk._make(row) for row in rows]


def logged_attempts(tx: Transaction, run_id: bytes) -> list[tuple[int, int]]:
    """Return `(task, attempt)` of every attempt of a run that wrote something, in order."""
    return tx.cursor.execute(
        "SELECT DISTINCT task, attempt FROM log_chunks WHERE run_id = ? ORDER BY task, attempt", (run_id,)
    ).fetchall()
