"""The jobs that are measured on PostgreSQL: they note when they begin where all processes can read it."""

from __future__ import annotations

from bench.peers.beginnings import lane
from windlass import job


@job
async def noop() -> None:
    """Do nothing but note the time."""
    lane().begun()


@job
async def numbered(number: int) -> None:
    """Do nothing but note the time by a number."""
    lane().begun_as(number)
