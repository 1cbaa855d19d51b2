"""Workers of other processes hear of what an application submits: they need not wait for their next look."""

from __future__ import annotations

import asyncio
from pathlib import Path

from windlass import Windlass, job


@job
async def nothing() -> None:
    """Do nothing."""


async def test_a_submission_to_a_store_that_others_share_gives_its_hint(postgres_url: str, tmp_path: Path) -> None:
    async with Windlass(postgres_url, workers=0, home=tmp_path) as app:
        await app.submit(nothing)
        heard = asyncio.Event()
        app._backend._engine.store.on_hint("ready", heard.set)
        await app.submit(nothing)
        await asyncio.wait_for(heard.wait(), 8)
