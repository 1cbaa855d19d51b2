"""The output of a run as it is read: whole or as it comes, task by task or all together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from windlass.clock import to_text
from windlass.engine.compiled import compiled
from windlass.engine.engine import Engine
from windlass.engine.shapes import Places
from windlass.engine.step_context import task_id
from windlass.errors import NotFound
from windlass.ids import id_text
from windlass.model.state import RUN_FINAL
from windlass.store import runs as stored
from windlass.store.logs import Chunk, chunks_after, logged_attempts
from windlass.store.transaction import Transaction

POLL = 1.0
Cursor = dict[tuple[int, int], int]


async def log_chunks(
    engine: Engine,
    run_id: bytes,
    *,
    step: str | None = None,
    key: str | None = None,
    attempt: int | None = None,
    follow: bool = False,
    after: Cursor | None = None,
) -> AsyncIterator[dict[str, Any]]:
    """Yield the chunks of a run's output, each attempt's in order.

    Without `attempt` all attempts come, earlier ones first. With `follow` chunks come as they are written, and it ends
    with the run. `after` names what was read before: the last number of each (task, attempt).
    Raises NotFound where there is no such run or step.
    """
    changed = asyncio.Event()
    forget = engine.store.on_hint("logs", changed.set)
    forget_end = engine.store.on_hint("ended", changed.set)
    cursor: Cursor = dict(after or {})
    try:
        while True:
            changed.clear()
            final, chunks = await engine.store.read(_more, engine, run_id, step, key, attempt, cursor)
            for chunk in chunks:
                yield chunk
            if chunks:
                continue
            if final or not follow:
                return
            try:
                async with asyncio.timeout(POLL):
                    await changed.wait()
            except TimeoutError:
                continue
    finally:
        forget()
        forget_end()


def _more(
    tx: Transaction,
    engine: Engine,
    run_id: bytes,
    step: str | None,
    key: str | None,
    attempt: int | None,
    cursor: Cursor,
) -> tuple[bool, list[dict[str, Any]]]:
    """Return whether the run is final, and chunks after the cursor, which is moved."""
    row = stored.run(tx, run_id)
    if row is None:
        raise NotFound(f"There is no run {id_text(run_id)}.")
    job = compiled(tx, engine.jobs, row.revision_id)
    if step is not None and step not in job.graph.names:
        raise NotFound(f'Job "{job.alias}" has no step "{step}"; it has {", ".join(job.graph.names[:20])}.')
    places = Places(job, row.expansion)
    chunks: list[dict[str, Any]] = []
    for task, number in logged_attempts(tx, run_id):
        place, cell = places.of(task)
        name = job.graph.names[place]
        if step not in {None, name} or key not in {None, cell} or attempt not in {None, number}:
            continue
        found = chunks_after(tx, run_id, task, number, cursor.get((task, number), -1))
        if found:
            cursor[task, number] = found[-1].seq
            chunks.extend(_shape(run_id, chunk, name, cell) for chunk in found)
    return row.state in RUN_FINAL, chunks


def _shape(run_id: bytes, chunk: Chunk, step: str, key: str) -> dict[str, Any]:
    return {
        "taskId": task_id(run_id, chunk.task),
        "step": step,
        "key": key,
        "attempt": chunk.attempt,
        "seq": chunk.seq,
        "at": to_text(chunk.at),
        "stream": chunk.stream,
        "data": chunk.data,
    }
