"""Which archived runs have which files: what the archive keeps a content for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, func, select

from windlass.store.archive.traces import forget_traces, note_traces, noted
from windlass.store.archive_tables import archived_files, archived_runs
from windlass.store.tables import artifacts
from windlass.store.transaction import Transaction


class Content(NamedTuple):
    """The content of files of one run."""

    sha256: str
    size: int
    #: Where it is kept, by address; empty where that is where the document is.
    place: str = ""


def files_to_move(tx: Transaction, run_ids: Sequence[bytes]) -> dict[bytes, list[Content]]:
    """Return the contents that runs of the hot store have, each once, of those that have any."""
    found: dict[bytes, list[Content]] = {}
    columns = (artifacts.c.run_id, artifacts.c.sha256, artifacts.c.size)
    wanted = select(*columns).where(artifacts.c.run_id.in_(run_ids)).distinct().order_by(*columns)
    for run_id, sha256, size in tx.connection.execute(wanted):
        found.setdefault(run_id, []).append(Content(sha256, size))
    return found


def note_files(tx: Transaction, run_id: bytes, archive: str, contents: Sequence[Content]) -> None:
    """Note what the archive keeps of a run, in place of what stood there before."""
    drop_files(tx, [run_id])
    tx.cursor.executemany(
        "INSERT INTO archived_files (run_id, sha256, archive, size) VALUES (?, ?, ?, ?)",
        [(run_id, content.sha256, content.place or archive, content.size) for content in contents],
    )


def files_of(tx: Transaction, run_id: bytes) -> list[Content]:
    """Return what the archive keeps of a run."""
    table = archived_files
    found = select(table.c.sha256, table.c.size, table.c.archive).where(table.c.run_id == run_id)
    return [Content(*row) for row in tx.connection.execute(found.order_by(table.c.sha256))]


def drop_files(tx: Transaction, run_ids: Sequence[bytes]) -> None:
    """Forget the files of runs; what archives have of them is noted: unless other runs have it, nobody needs it."""
    _drop(tx, archived_files.c.run_id.in_(run_ids))


def drop_old_files(tx: Transaction, job_id: bytes, before: int) -> None:
    """Forget the files of runs of a job that ended before a time."""
    old = select(archived_runs.c.run_id).where(archived_runs.c.job_id == job_id, archived_runs.c.finished_at < before)
    _drop(tx, archived_files.c.run_id.in_(old))


def _drop(tx: Transaction, which: ColumnElement[bool]) -> None:
    by_archive: dict[str, list[str]] = {}
    found = select(archived_files.c.archive, archived_files.c.sha256).where(which).distinct()
    for archive, sha256 in tx.connection.execute(found):
        by_archive.setdefault(archive, []).append(sha256)
    for archive, names in by_archive.items():
        note_traces(tx, archive, "file", names)
    if by_archive:
        tx.connection.execute(delete(archived_files).where(which))


def move_contents(tx: Transaction, archive: str, place: str, names: Sequence[str]) -> None:
    """Note that an archive has some contents in another place, with what was noted of them there."""
    marks = ", ".join("?" * len(names))
    tx.cursor.execute(
        f"UPDATE archived_files SET archive = ? WHERE archive = ? AND sha256 IN ({marks})",  # noqa: S608 - marks only
        (place, archive, *names),
    )
    moved = sorted(noted(tx, archive, "file", names))
    note_traces(tx, place, "file", moved)
    forget_traces(tx, archive, "file", moved)


def held_contents(tx: Transaction) -> tuple[int, int]:
    """Return how many contents all archives keep, and their bytes."""
    table = archived_files
    each = select(table.c.archive, table.c.sha256, func.max(table.c.size).label("size")).group_by(
        table.c.archive, table.c.sha256
    )
    inner = each.subquery()
    row = tx.connection.execute(select(func.count(inner.c.sha256), func.coalesce(func.sum(inner.c.size), 0))).one()
    return int(row[0]), int(row[1])
