"""The archive as people see it: listed, and runs brought back from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from windlass.clock import to_text
from windlass.engine.auditing.noting import note
from windlass.engine.engine import Engine
from windlass.engine.moving import moving_runs
from windlass.engine.moving_files import ask_removal, bring_files_back, check_files, remove_files
from windlass.engine.reading import get_run, id_range
from windlass.errors import Conflict, CorruptStore, NotFound, UserError
from windlass.ids import id_text
from windlass.store.archive import catalogue
from windlass.store.archive.archive import Archive
from windlass.store.archive.catalogue import ArchiveFilter
from windlass.store.archive.document import insert_rows, mark_of, read_rows
from windlass.store.archive.open import open_archive, refuse_missing
from windlass.store.labels import keep_labels_of
from windlass.store.relations import exists_anywhere
from windlass.store.transaction import Transaction


async def list_archive(engine: Engine, filters: ArchiveFilter) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of archived runs, those last created first, and the cursor of the next page."""
    rows = await engine.store.read(catalogue.entries, filters)
    more = len(rows) == filters.limit and rows
    return [_shape(row) for row in rows], id_text(rows[-1].run_id) if more else None


async def get_archived(engine: Engine, reference: str) -> dict[str, Any]:
    """Return what the archive has of a run, by its id or the beginning of it; raises as `restore` does."""
    entry, _ = await engine.store.read(_state, await engine.store.read(_find, reference))
    return _shape(entry)


async def archive_figures(engine: Engine) -> dict[str, Any]:
    """Return how much the archive holds."""
    found = await engine.store.read(catalogue.figures)
    oldest = None if found.oldest is None else to_text(found.oldest)
    return {
        "url": engine.settings.archive_url,
        "runs": found.runs,
        "size": found.size,
        "oldest": oldest,
        "restored": found.restored,
        "files": found.files,
        "fileSize": found.file_size,
    }


async def restore(engine: Engine, reference: str) -> tuple[dict[str, Any], bool]:
    """Bring a run back, by its id or the beginning of it; return it, and whether it was away.

    The archive keeps its copy; the run leaves again once its retention, counted from now, is over. Raises NotFound
    where the archive has no such run, UserError where several begin so, Unavailable where the archive is gone,
    CorruptStore where its copy is damaged.
    """
    run_id = await engine.store.read(_find, reference)
    async with moving_runs(engine):
        entry, hot = await engine.store.read(_state, run_id)
        if not hot:
            archive = await open_archive(entry.archive, engine.store)
            await refuse_missing(entry.archive, engine.store, "nothing was changed")
            await _restore(engine, archive, entry)
    return await get_run(engine, run_id), not hot


async def _restore(engine: Engine, archive: Archive, entry: Any) -> None:
    digest = hashlib.sha256()
    async for data in archive.read(entry.run_id, entry.place):
        digest.update(data)
    if digest.hexdigest() != entry.digest:
        raise CorruptStore(
            f"What the archive {archive.url} holds of run {id_text(entry.run_id)} is not what it was given; "
            "nothing was changed: bring the archive back from a backup."
        )
    await check_files(engine, entry.run_id)
    # Where this is cut off, the next sweep removes what came back so far.
    await engine.store.run(_begin, entry.run_id, entry.project)
    try:
        await _bring_back(engine, archive, entry)
    except Conflict:  # somebody deleted it meanwhile
        if engine.home is not None:
            await engine.store.run(ask_removal, engine.home, [entry.run_id])
        await remove_files(engine, entry.run_id)
        raise


async def _bring_back(engine: Engine, archive: Archive, entry: Any) -> None:
    homes = await bring_files_back(engine, entry.run_id)
    run: list[dict[str, Any]] = []
    async for data in archive.read(entry.run_id, entry.place):
        rows = [(table, _placed(table, values, homes, engine.home)) for table, values in read_rows(data)]
        run += [values for table, values in rows if table == "runs"]
        await engine.store.run(_insert, entry.run_id, [(table, values) for table, values in rows if table != "runs"])
    await engine.store.run(_complete, entry.run_id, run)


def _placed(table: str, values: dict[str, Any], homes: Mapping[str, str | None], own: str | None) -> dict[str, Any]:
    """Return a row with where its file lies now; one that no archive has lies where it did, if anywhere."""
    if table != "artifacts":
        return values
    home = homes.get(values["sha256"], None if own is None else values.get("home"))
    return values | {"home": home, "home_attempt": None if home is None else values["attempt"]}


def _begin(tx: Transaction, run_id: bytes, project: str) -> None:
    note(tx, "archive.restore", f"Run/{id_text(run_id)}", project=project)
    if not catalogue.come_back(tx, run_id):
        raise NotFound(f"The archive has no run {id_text(run_id)}.")


def _insert(tx: Transaction, run_id: bytes, rows: list[tuple[str, dict[str, Any]]]) -> None:
    if not catalogue.is_coming_back(tx, run_id):
        raise _stopped(run_id)
    insert_rows(tx, rows)


def _complete(tx: Transaction, run_id: bytes, run: list[dict[str, Any]]) -> None:
    """Make a run readable again: its own row comes last. Raises Conflict where its other rows were taken away."""
    if not catalogue.came_back(tx, run_id):
        raise _stopped(run_id)
    insert_rows(tx, [("runs", values | _family(tx, values) | {"restored_at": tx.now}) for values in run])
    for values in run:
        keep_labels_of(tx, run_id, values.get("labels"))


def _family(tx: Transaction, run: dict[str, Any]) -> dict[str, Any]:
    """Return what a run says of the one that started it where that is gone: nobody did."""
    parent = run.get("parent_id")
    return {} if parent is None or exists_anywhere(tx, parent) else {"parent_id": None, "root_id": None}


def _stopped(run_id: bytes) -> Conflict:
    return Conflict(f"Run {id_text(run_id)} was removed while it came back from the archive; restore it once more.")


def _find(tx: Transaction, reference: str) -> bytes:
    low, high = id_range(reference)
    found = catalogue.matching(tx, low, high)
    if not found:
        raise NotFound(f"The archive has no run {reference}; `windlass archive list` lists what it has.")
    if len(found) > 1:
        raise UserError(f"Several archived runs begin with {reference}; give more of the id.")
    return found[0]


def _state(tx: Transaction, run_id: bytes) -> tuple[Any, bool]:
    entry = catalogue.entry(tx, run_id)
    if entry is None:
        raise NotFound(f"The archive has no run {id_text(run_id)}.")
    return entry, mark_of(tx, run_id) is not None


def _shape(row: Any) -> dict[str, Any]:
    return {
        "id": id_text(row.run_id),
        "project": row.project,
        "job": row.job,
        "revision": row.revision,
        "state": row.state,
        "createdAt": to_text(row.created_at),
        "finishedAt": to_text(row.finished_at),
        "archivedAt": to_text(row.archived_at),
        "rule": row.rule,
        "archive": row.archive,
        "size": row.size,
        "restoredAt": None if row.restored_at is None or not row.removed else to_text(row.restored_at),
    }
