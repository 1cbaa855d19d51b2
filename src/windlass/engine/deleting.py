"""Deleting runs at somebody's wish: stopped where they are live, then removed with everything that they left."""

from __future__ import annotations

from typing import Final

from windlass.engine.archiving import finish_leaving, remove_runs
from windlass.engine.auditing.noting import note
from windlass.engine.cache_upkeep import drop_cached
from windlass.engine.cancellation import cancel_run, cancel_runs
from windlass.engine.engine import Engine
from windlass.engine.forgetting import forget_contents, forget_copies
from windlass.engine.moving_files import remove_files
from windlass.engine.timing import wake_due
from windlass.errors import Conflict, NotFound
from windlass.ids import id_text
from windlass.model.state import RUN_FINAL
from windlass.store import hot, relations
from windlass.store.archive import catalogue
from windlass.store.archive.catalogue import Copy
from windlass.store.runs import project_of
from windlass.store.step_cache import forget_runs
from windlass.store.transaction import Transaction

#: Runs looked at in one unit of work.
_PAGE: Final = 100


async def delete_run(engine: Engine, run_id: bytes, *, by: str | None = None) -> bool:
    """Delete a run with its rows, logs and files, and its children with it, from the archive too; say if it is gone.

    One that is live is cancelled and marked: it is deleted once it has ended, also after a restart (`delete_marked`).
    Children that were started to go on without it stay, and have no parent then.
    Raises NotFound where there is no such run, Conflict where it is final and still needed by a run that is not, and
    where it is on its way to the archive or back.
    """
    if await engine.store.run(_mark, engine, run_id, by):
        return await _delete(engine, run_id)
    family = await engine.store.run(_mark_below, engine, run_id)
    await _forget_archived(engine, family)
    for child in family[1:]:
        await _delete(engine, child)
    return True


async def delete_marked(engine: Engine) -> bool:
    """Delete what is marked and has ended by now; return whether there is more that is marked."""
    after, left = b"", False
    while page := await engine.store.read(relations.to_delete, after, _PAGE):
        for run_id, ended in page:
            if not ended or not await _delete(engine, run_id):
                left = True
        after = page[-1][0]
    return left


async def _delete(engine: Engine, run_id: bytes) -> bool:
    """Delete a marked run if nothing needs it any more; return whether it is gone."""
    family = await engine.store.read(_ended_family, run_id)
    if family is None:
        return False
    files = await engine.store.run(_let_go, family)
    if files is None:
        return False
    await drop_cached(engine, files)
    await _forget_archived(engine, family)
    # The deepest first: where this is cut off, the run is found by its mark again, and what is left below it.
    await remove_runs(engine, family[::-1])
    # Somebody else may be at it, who has let them go and not removed all of it yet: gone is what nothing is left of.
    await finish_leaving(engine, await engine.store.read(_partly_removed, family))
    return await engine.store.read(hot.run_flags, run_id) is None


def _partly_removed(tx: Transaction, family: list[bytes]) -> list[bytes]:
    """Return those of which rows are left, and that no archive keeps."""
    return [
        row.run_id
        for start in range(0, len(family), _PAGE)
        for row in catalogue.leaving(tx, _PAGE, family[start : start + _PAGE])
        if not row.archive
    ]


def _mark(tx: Transaction, engine: Engine, run_id: bytes, by: str | None) -> bool:
    """Mark a run, and what it started; False, with nothing done, where only the archive has it."""
    flags = hot.run_flags(tx, run_id)
    if flags is None:
        if catalogue.entry(tx, run_id) is not None:
            return False
        raise NotFound(f"There is no run {id_text(run_id)}.")
    if flags.state in RUN_FINAL and relations.has_live_parent(tx, run_id):
        raise Conflict(f"Run {id_text(run_id)} is still needed by another run; delete it once that has ended.")
    if flags.state not in RUN_FINAL and not flags.cancels:
        cancel_run(tx, engine, run_id, by)
    family = relations.family_of(tx, run_id)
    cancel_runs(tx, engine, family[1:], parent=run_id)
    relations.mark_deleting(tx, family)
    wake_due(tx, engine)
    note(tx, "run.delete", f"Run/{id_text(run_id)}", project=project_of(tx, run_id), runs=len(family))
    return True


def _mark_below(tx: Transaction, engine: Engine, run_id: bytes) -> list[bytes]:
    """Mark what was started by a run that only the archive has; return the run and all of that, parents first."""
    entry = catalogue.entry(tx, run_id)
    if entry is None:
        raise NotFound(f"There is no run {id_text(run_id)}.")
    if not entry.removed or hot.run_flags(tx, run_id) is not None:
        raise Conflict(f"Run {id_text(run_id)} is on its way to the archive or back; delete it in a moment.")
    family = relations.family_of(tx, run_id)
    cancel_runs(tx, engine, family[1:], parent=run_id)
    relations.mark_deleting(tx, family[1:])
    wake_due(tx, engine)
    note(tx, "run.delete", f"Run/{id_text(run_id)}", project=entry.project, runs=len(family), archived=True)
    return family


async def _forget_archived(engine: Engine, family: list[bytes]) -> None:
    """Delete those of a family that only archives have.

    The deepest first: where this is cut off, what is left is still below a run that is there.
    """
    for end in range(len(family), 0, -_PAGE):
        part = family[max(0, end - _PAGE) : end]
        away, files, copies = await engine.store.run(_forget, part)
        if away:
            await drop_cached(engine, files)
            await finish_leaving(engine, away)
            await forget_copies(engine, copies)
            await forget_contents(engine, copies)
            for run_id in away:
                await remove_files(engine, run_id)


def _forget(tx: Transaction, run_ids: list[bytes]) -> tuple[list[bytes], set[str], list[Copy]]:
    """Forget those that only archives have; return them, files of their results, and what archives have of them."""
    away = [run_id for run_id in run_ids if hot.run_flags(tx, run_id) is None]
    if not away:
        return [], set(), []
    relations.let_go(tx, away)
    copies = catalogue.copies_of(tx, away)
    catalogue.forget(tx, away)
    return away, forget_runs(tx, away), copies


def _ended_family(tx: Transaction, run_id: bytes) -> list[bytes] | None:
    """Return a run and what it started, the deepest last, once all of it is final and nobody needs it."""
    family = relations.family_of(tx, run_id)
    return family if relations.all_at_rest(tx, family) and not relations.has_live_parent(tx, run_id) else None


def _let_go(tx: Transaction, family: list[bytes]) -> set[str] | None:
    """Prepare a run and what it started for being deleted; None, with nothing done, where its parent goes on.

    Return the files that no kept result has any more.
    """
    if relations.has_live_parent(tx, family[0]):
        return None
    relations.let_go(tx, family)
    return forget_runs(tx, family)
