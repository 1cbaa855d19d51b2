"""Deleting runs at somebody's wish: stopped where they are live, then removed with everything that they left."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from windlass.engine.archiving import remove_runs
from windlass.engine.cancellation import cancel_run, cancel_runs
from windlass.engine.engine import Engine
from windlass.engine.timing import wake_due
from windlass.errors import Conflict, NotFound
from windlass.ids import id_text
from windlass.model.state import RUN_FINAL
from windlass.store import hot_sqlite as hot
from windlass.store import relations
from windlass.store.transaction import Transaction

#: Seconds that a live run has to end once it was cancelled, and between looks when no hint comes.
PATIENCE: Final = 10.0
_POLL: Final = 0.2


async def delete_run(engine: Engine, run_id: bytes, *, by: str | None = None, patience: float = PATIENCE) -> None:
    """Cancel a run if it is live, and delete it with its rows, logs and files, and its children with it.

    Children that were started to go on without it stay, and have no parent then.
    Raises NotFound where there is no such run, Conflict where it does not end within `patience` seconds: it is asked to
    stop then, and may be deleted later.
    """
    await engine.store.run(_stop, engine, run_id, by)
    changed = asyncio.Event()
    forget = engine.store.on_hint("ended", changed.set)
    try:
        async with asyncio.timeout(patience):
            while (family := await engine.store.run(_ended_family, engine, run_id)) is None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL):
                        await changed.wait()
                changed.clear()
    except TimeoutError:
        raise Conflict(
            f"Run {id_text(run_id)} is asked to stop and has not ended yet; delete it once it has."
        ) from None
    finally:
        forget()
    if not await engine.store.run(_let_go, family) or await remove_runs(engine, family) < len(family):
        raise Conflict(f"Run {id_text(run_id)} is still needed by another run; delete it once that has ended.")


def _stop(tx: Transaction, engine: Engine, run_id: bytes, by: str | None) -> None:
    flags = hot.run_flags(tx, run_id)
    if flags is None:
        raise NotFound(f"There is no run {id_text(run_id)}.")
    if flags.state not in RUN_FINAL and not flags.cancels:
        cancel_run(tx, engine, run_id, by)
    cancel_runs(tx, engine, relations.family_of(tx, run_id)[1:])


def _ended_family(tx: Transaction, engine: Engine, run_id: bytes) -> list[bytes] | None:
    """Return a run and what it started, the deepest last, once all of it is final and nobody waits for it."""
    wake_due(tx, engine)
    family = relations.family_of(tx, run_id)
    return family if relations.all_at_rest(tx, family) else None


def _let_go(tx: Transaction, family: list[bytes]) -> bool:
    """Prepare a run and what it started for being deleted; False, with nothing done, where its parent goes on."""
    if relations.has_live_parent(tx, family[0]):
        return False
    relations.let_go(tx, family)
    return True
