"""What people have to say about a run."""

from __future__ import annotations

from typing import Any

from windlass.engine.auditing.noting import note
from windlass.engine.engine import Engine
from windlass.engine.reading import get_run
from windlass.errors import NotFound
from windlass.ids import id_text
from windlass.store.runs import project_of, set_note
from windlass.store.transaction import Transaction


async def note_run(engine: Engine, run_id: bytes, text: str | None) -> dict[str, Any]:
    """Put a note on a run, in whatever state it is, or take it off; return the run. Raises NotFound."""
    await engine.store.run(_set, run_id, text or None)
    return await get_run(engine, run_id)


def _set(tx: Transaction, run_id: bytes, text: str | None) -> None:
    if not set_note(tx, run_id, text):
        raise NotFound(f"There is no run {id_text(run_id)}.")
    note(tx, "run.note", f"Run/{id_text(run_id)}", project=project_of(tx, run_id))
