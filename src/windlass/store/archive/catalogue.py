"""The catalogue of archived runs: where each of them is, and lists of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Row, case, delete, func, insert, select, update

from windlass.store.archive.archived_files import drop_files, files_of, held_contents
from windlass.store.archive_tables import archived_runs
from windlass.store.tables import jobs, revisions, runs, store_info
from windlass.store.transaction import Transaction


class NewEntry(NamedTuple):
    """A run that leaves, in the order of its columns; what the run itself says is taken from its row."""

    run_id: bytes
    rule: str
    archive: str
    place: str
    size: int
    digest: str


class Copy(NamedTuple):
    """What an archive keeps of a run: the document at a place, and the contents of its files."""

    run_id: bytes
    archive: str
    place: str
    contents: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFilter:
    """Which archived runs a list shows; None leaves a field open."""

    project: str | None = None
    job: str | None = None
    states: Sequence[str] = ()
    before: bytes | None = None
    limit: int = 50


_COLUMNS = (*archived_runs.c, jobs.c.alias.label("job"), revisions.c.number.label("revision"))
_FROM = archived_runs.outerjoin(jobs, jobs.c.id == archived_runs.c.job_id).outerjoin(
    revisions, revisions.c.id == archived_runs.c.revision_id
)
#: The addresses of archives that were used.
_USED: Final = "archives"
#: Rows of it have yet to leave the hot tables.
_LEAVING = (archived_runs.c.removed == 0) & archived_runs.c.restored_at.is_(None)
#: It comes back, and not all of its rows are there: `leaving` must not take it for one of its own.
_COMING = (archived_runs.c.removed == 0) & archived_runs.c.restored_at.is_not(None)
_INSERT = (
    "INSERT INTO archived_runs (run_id, project, job_id, revision_id, state, created_at, finished_at, archived_at, "
    "rule, archive, place, size, digest, removed) "
    "SELECT id, project, job_id, revision_id, state, created_at, finished_at, ?, ?, ?, ?, ?, ?, ? "
    "FROM runs WHERE id = ? "
    "ON CONFLICT (run_id) DO UPDATE SET state = excluded.state, finished_at = excluded.finished_at, "
    "archived_at = excluded.archived_at, rule = excluded.rule, archive = excluded.archive, place = excluded.place, "
    "size = excluded.size, digest = excluded.digest, removed = excluded.removed, restored_at = NULL"
)


def enter(tx: Transaction, entry: NewEntry, *, removed: bool) -> None:
    """Note where a run is that leaves the hot tables; its row must still be there.

    `removed` says that all of its rows leave at once; else `leaving` returns it until they have.
    """
    tx.cursor.execute(
        _INSERT,
        (
            tx.now, entry.rule, entry.archive, entry.place, entry.size, entry.digest, int(removed), entry.run_id,
        ),
    )  # fmt: skip


def entry(tx: Transaction, run_id: bytes) -> Row[Any] | None:
    """Return what the catalogue says of a run; None where it does not know it."""
    found = select(*_COLUMNS).select_from(_FROM).where(archived_runs.c.run_id == run_id, archived_runs.c.archive != "")
    return tx.connection.execute(found).one_or_none()


def entries(tx: Transaction, filters: ArchiveFilter) -> list[Row[Any]]:
    """Return a page of archived runs, those last created first."""
    table = archived_runs
    found = select(*_COLUMNS).select_from(_FROM).where(table.c.archive != "")
    if filters.project is not None:
        found = found.where(table.c.project == filters.project)
    if filters.job is not None:
        found = found.where(jobs.c.alias == filters.job)
    if filters.states:
        found = found.where(table.c.state.in_(filters.states))
    if filters.before is not None:
        found = found.where(table.c.run_id < filters.before)
    return list(tx.connection.execute(found.order_by(table.c.run_id.desc()).limit(filters.limit)))


def copies_of(tx: Transaction, run_ids: Sequence[bytes]) -> list[Copy]:
    """Return what archives keep of runs, of those of which they keep anything."""
    table = archived_runs
    found = select(table.c.run_id, table.c.archive, table.c.place).where(table.c.run_id.in_(run_ids))
    return [
        Copy(*row, frozenset(content.sha256 for content in files_of(tx, row.run_id)))
        for row in tx.connection.execute(found.where(table.c.archive != "")).all()
    ]


def not_in(tx: Transaction, url: str, run_ids: Sequence[bytes]) -> list[bytes]:
    """Return those runs that are not in an archive."""
    table = archived_runs
    found = select(table.c.run_id).where(table.c.archive == url, table.c.run_id.in_(run_ids))
    known = set(tx.connection.execute(found).scalars())
    return [run_id for run_id in run_ids if run_id not in known]


def matching(tx: Transaction, low: bytes, high: bytes, limit: int = 2) -> list[bytes]:
    """Return up to `limit` archived runs whose id lies between two others."""
    table = archived_runs
    found = select(table.c.run_id).where(table.c.run_id.between(low, high), table.c.archive != "").limit(limit)
    return list(tx.connection.execute(found).scalars())


def leaving(tx: Transaction, limit: int, only: Sequence[bytes] | None = None) -> list[Row[Any]]:
    """Return runs of which rows are still to leave the hot tables, of all or of `only` these."""
    found = select(*archived_runs.c).where(_LEAVING)
    if only is not None:
        found = found.where(archived_runs.c.run_id.in_(only))
    return list(tx.connection.execute(found.limit(limit)))


def is_leaving(tx: Transaction, run_id: bytes) -> bool:
    """Say whether rows of a run are still to leave the hot tables."""
    found = select(archived_runs.c.run_id).where(archived_runs.c.run_id == run_id, _LEAVING)
    return tx.connection.execute(found).first() is not None


def come_back(tx: Transaction, run_id: bytes) -> bool:
    """Note that a run begins to come back; False where the archive does not have it."""
    table = archived_runs
    found = update(table).where(table.c.run_id == run_id, table.c.archive != "")
    return tx.connection.execute(found.values(removed=0, restored_at=tx.now)).rowcount == 1


def is_coming_back(tx: Transaction, run_id: bytes) -> bool:
    """Say whether a run is on its way back."""
    found = select(archived_runs.c.run_id).where(archived_runs.c.run_id == run_id, _COMING)
    return tx.connection.execute(found).first() is not None


def came_back(tx: Transaction, run_id: bytes) -> bool:
    """Note that a run is back; False, and nothing done, where it was not on its way."""
    found = update(archived_runs).where(archived_runs.c.run_id == run_id, _COMING)
    return tx.connection.execute(found.values(removed=1, restored_at=tx.now)).rowcount == 1


def turn_around(tx: Transaction) -> int:
    """Let all that are on their way back leave again, once nobody brings them any more; return how many those are."""
    return int(tx.connection.execute(update(archived_runs).where(_COMING).values(restored_at=None)).rowcount)


def any_coming_back(tx: Transaction) -> bool:
    """Say whether a run is on its way back."""
    return tx.connection.execute(select(archived_runs.c.run_id).where(_COMING).limit(1)).first() is not None


def ended(tx: Transaction, before: int, limit: int) -> list[Row[Any]]:
    """Return runs that ended before a time, and whose time in the archive is over."""
    table = archived_runs
    found = select(*table.c).where(table.c.finished_at < before, table.c.removed == 1)
    return list(tx.connection.execute(found.order_by(table.c.finished_at).limit(limit)))


def drop(tx: Transaction, run_ids: Sequence[bytes]) -> None:
    """Forget runs, with what was noted of their files."""
    tx.connection.execute(delete(archived_runs).where(archived_runs.c.run_id.in_(run_ids)))
    drop_files(tx, run_ids)


def set_removed(tx: Transaction, run_id: bytes) -> None:
    """Note that the hot tables are free of the rows of a run that was leaving."""
    tx.connection.execute(update(archived_runs).where(archived_runs.c.run_id == run_id, _LEAVING).values(removed=1))


def places(tx: Transaction, url: str) -> set[str]:
    """Return every place of one archive that a run is at."""
    table = archived_runs
    return set(tx.connection.execute(select(table.c.place).where(table.c.archive == url).distinct()).scalars())


def archives(tx: Transaction) -> set[str]:
    """Return the addresses of all archives that were ever used, and of those that a run is in."""
    found = set(tx.connection.execute(select(archived_runs.c.archive).distinct()).scalars())
    used = tx.connection.execute(select(store_info.c.value).where(store_info.c.key == _USED)).scalar_one_or_none()
    return found.union(orjson.loads(used) if used else ()) - {""}


def note_archive(tx: Transaction, url: str) -> None:
    """Remember that an archive is used: what is left in it is removed after the settings name another one, too."""
    urls = orjson.dumps(sorted(archives(tx) | {url})).decode()
    if not tx.connection.execute(update(store_info).where(store_info.c.key == _USED).values(value=urls)).rowcount:
        tx.connection.execute(insert(store_info).values(key=_USED, value=urls))


def held_by(tx: Transaction, url: str) -> int:
    """Return how many runs one archive holds."""
    found = select(func.count()).select_from(archived_runs).where(archived_runs.c.archive == url)
    return int(tx.connection.execute(found).scalar_one())


class Figures(NamedTuple):
    """How much the archive holds."""

    runs: int
    size: int
    #: End of the run that ended first, in microseconds; None where it is empty.
    oldest: int | None
    restored: int
    #: Files of runs, each content once, and their bytes.
    files: int
    file_size: int


def figures(tx: Transaction) -> Figures:
    """Count what the archive holds."""
    table = archived_runs
    back = table.c.restored_at.is_not(None) & (table.c.removed == 1)
    restored = func.coalesce(func.sum(case((back, 1), else_=0)), 0)
    found = select(func.count(), func.coalesce(func.sum(table.c.size), 0), func.min(table.c.finished_at), restored)
    row = tx.connection.execute(found.where(table.c.archive != "")).one()
    files, file_size = held_contents(tx)
    return Figures(row[0], row[1], row[2], row[3], files, file_size)


def oldest_in_store(tx: Transaction) -> int | None:
    """Return when that final run ended which was created before all others of the hot tables; None without any."""
    found = select(runs.c.finished_at).where(runs.c.finished_at.is_not(None)).order_by(runs.c.id).limit(1)
    return tx.connection.execute(found).scalar_one_or_none()
