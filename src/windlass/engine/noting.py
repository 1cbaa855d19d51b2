"""What people have to say about a run."""

from __future__ import annotations

from typing import Any

from windlass.engine.engine import Engine
from windlass.engine.reading import get_run
from windlass.errors import NotFound
from windlass.ids import id_text
from windlass.store.runs import set_note


async def note_run(engine: Engine, run_id: bytes, note: str | None) -> dict[str, Any]:
    """Put a note on a run, in whatever state it is, or take it off; return the run. Raises NotFound."""
    if not await engine.store.run(set_note, run_id, note or None):
        raise NotFound(f"There is no run {id_text(run_id)}.")
    return await get_run(engine, run_id)
