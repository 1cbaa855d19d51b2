"""No-ops worked off by two processes on one PostgreSQL."""

from __future__ import annotations

from bench.entry import Entry
from bench.rows.postgres.drain import drained


def measure(store: str, rounds: int) -> Entry:
    """Drain a queue by two processes a side, all sides in turn."""
    return drained("drain2", store, rounds)
