"""Removing the files that attempts of an earlier owner had kept when they were cut off: no task knows of them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from windlass.engine.engine import Engine
from windlass.ids import id_text
from windlass.store.artifacts import artifacts_of
from windlass.store.transaction import Transaction


async def sweep_artifacts(engine: Engine, folder: Path, run_ids: Sequence[bytes]) -> int:
    """Remove from `folder` what runs left there and no task of theirs kept; return how many files those were.

    Only while nothing of these runs is at work.
    """
    if not run_ids:
        return 0
    known = await engine.store.read(_kept, run_ids)
    return await asyncio.to_thread(_sweep, folder, [id_text(run_id) for run_id in run_ids], known)


def _kept(tx: Transaction, run_ids: Sequence[bytes]) -> set[str]:
    return {row.path for run_id in run_ids for row in artifacts_of(tx, run_id)}


def _sweep(folder: Path, runs: Sequence[str], known: Collection[str]) -> int:
    removed = 0
    for run in runs:
        for path in (folder / run).glob("*"):
            if f"{run}/{path.name}" not in known:
                with suppress(OSError):
                    path.unlink()
                    removed += 1
        with suppress(OSError):
            (folder / run).rmdir()  # where nothing is left in it
    return removed
