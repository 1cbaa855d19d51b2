"""A history that is copied into PostgreSQL is one that the engine could have written."""

from __future__ import annotations

import asyncio

import pytest

from bench.api import anything_left, client_in
from bench.stored_postgres import fill, megabytes, patterns
from tests.fixtures.postgres import PostgresServer
from windlass import RunNotCompleted, Windlass, job
from windlass.clock import from_text
from windlass.ids import parse_id


@job
async def good() -> None:
    """End well."""


@job
async def bad() -> None:
    """End badly."""
    raise ValueError("this job is broken")


async def test_rows_written_by_copy_are_found(postgres: PostgresServer) -> None:
    postgres_url = postgres.url(await postgres.empty())  # its partitions begin now, as those of any new store
    async with Windlass(postgres_url, workers=2) as app:
        client = client_in(app)
        runs = [await app.submit(good), await app.submit(bad)]
        await runs[0].wait(timeout=60)
        with pytest.raises(RunNotCompleted):
            await runs[1].wait(timeout=60)
        assert not await asyncio.to_thread(anything_left, client)
        first = await asyncio.to_thread(client.get, "runs", runs[0].id)
        broken = await asyncio.to_thread(client.get, "runs", runs[1].id)
    last = from_text(first["createdAt"]) // 1000 - 1000
    known = await patterns(postgres_url, [parse_id(run.id) or b"" for run in runs])
    await fill(postgres_url, known, 300, first=last - 3_600_000, last=last)
    async with Windlass(postgres_url, workers=0) as app:
        client = client_in(app)
        listed = await asyncio.to_thread(lambda: list(client.pages("runs")))
        assert len(listed) == len({one["id"] for one in listed}) == 302
        times = [one["createdAt"] for one in listed]
        assert times == sorted(times, reverse=True)
        failed = await asyncio.to_thread(lambda: list(client.pages("runs", state="failed")))
        assert len(failed) == 151
        old = await asyncio.to_thread(client.get, "runs", failed[-1]["id"])
        assert (old["job"], old["error"]) == ("bad", broken["error"])
    assert await megabytes(postgres_url) > 1
