"""The catalogue of archived runs: where each of them is, and lists of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Row, case, delete, func, insert, literal_column, select, update

from windlass.store.archive.archived_files import drop_files, files_of, held_contents
from windlass.store.archive.traces import document_name, note_traces
from windlass.store.archive_tables import archived_runs
from windlass.store.columns import of_run
from windlass.store.tables import jobs, revisions, runs
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
#: In the very words of the index.
_THERE = archived_runs.c.removed == literal_column("0")
#: Rows of it have yet to leave the hot tables.
_LEAVING = _THERE & archived_runs.c.restored_at.is_(None)
#: It comes back, and not all of its rows are there: `leaving` must not take it for one of its own.
_COMING = _THERE & archived_runs.c.restored_at.is_not(None)
_INSERT = (
    "INSERT INTO archived_runs (run_id, project, job_id, revision_id, state, created_at, finished_at, archived_at, "
    "rule, archive, place, size, digest, removed, parent_id, cascades) "
    "SELECT id, project, job_id, revision_id, state, created_at, finished_at, ?, ?, ?, ?, ?, ?, ?, parent_id, cascades "
    "FROM runs WHERE id = ? "
    "ON CONFLICT (run_id) DO UPDATE SET state = excluded.state, finished_at = excluded.finished_at, "
    "archived_at = excluded.archived_at, rule = excluded.rule, archive = excluded.archive, place = excluded.place, "
    "size = excluded.size, digest = excluded.digest, removed = excluded.removed, restored_at = NULL, "
    "parent_id = excluded.parent_id, cascades = excluded.cascades"
)


def enter(tx: Transaction, entry: NewEntry, *, removed: bool) -> None:
    """Note where a run is that leaves the hot tables; its row must still be there.

    `removed` says that all of its rows leave at once; else `leaving` returns it until they have. A copy that it had in
    another place is needed no more.
    """
    _note_copies(tx, [entry.run_id])
    tx.cursor.execute(
        _INSERT,
        (
            tx.now, entry.rule, entry.archive, entry.place, entry.size, entry.digest, int(removed), entry.run_id,
        ),
    )  # fmt: skip


def adopt(tx: Transaction, entry: NewEntry, run: Mapping[str, Any]) -> bool:
    """Enter a run that an archive was found to hold, as its own row was there; False where it is known already."""
    values = {column.name: run[column.name] for column in of_run()}
    found = select(archived_runs.c.run_id).where(archived_runs.c.run_id == entry.run_id)
    if tx.connection.execute(found).first() is not None:
        return False
    tx.connection.execute(
        insert(archived_runs).values(
            **entry._asdict(),
            **values,
            created_at=run["created_at"],
            finished_at=run["finished_at"],
            archived_at=tx.now,
            removed=1,
            parent_id=run.get("parent_id"),
            cascades=run.get("cascades", 1),
        )
    )
    return True


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
    """Forget runs, with what was noted of their files; what archives have of them is noted to be needed no more."""
    _note_copies(tx, run_ids)
    tx.connection.execute(delete(archived_runs).where(archived_runs.c.run_id.in_(run_ids)))
    drop_files(tx, run_ids)


def forget(tx: Transaction, run_ids: Sequence[bytes]) -> None:
    """Forget runs that somebody wants deleted; those that leave or come back just now once their rows are gone.

    `leaving` returns the latter, as deleted ones, from now on.
    """
    table = archived_runs
    found = select(table.c.run_id).where(table.c.run_id.in_(run_ids), _THERE)
    on_their_way = list(tx.connection.execute(found).scalars())
    if on_their_way:
        _note_copies(tx, on_their_way)
        drop_files(tx, on_their_way)
        gone = {"archive": "", "place": "", "restored_at": None}
        tx.connection.execute(update(table).where(table.c.run_id.in_(on_their_way)).values(gone))
    drop(tx, [run_id for run_id in run_ids if run_id not in on_their_way])


def _note_copies(tx: Transaction, run_ids: Sequence[bytes]) -> None:
    table = archived_runs
    found = select(table.c.run_id, table.c.archive, table.c.place).where(table.c.run_id.in_(run_ids))
    by_archive: dict[str, list[str]] = {}
    for run_id, archive, place in tx.connection.execute(found.where(table.c.archive != "")):
        by_archive.setdefault(archive, []).append(document_name(run_id, place))
    for archive, names in by_archive.items():
        note_traces(tx, archive, "document", names)


def set_removed(tx: Transaction, run_id: bytes) -> None:
    """Note that the hot tables are free of the rows of a run that was leaving."""
    tx.connection.execute(update(archived_runs).where(archived_runs.c.run_id == run_id, _LEAVING).values(removed=1))


def held_by(tx: Transaction, url: str) -> int:
    """Return how many runs one archive holds."""
    found = select(func.count()).select_from(archived_runs).where(archived_runs.c.archive == url)
    return int(tx.connection.execute(found).scalar_one())


def holds_any(tx: Transaction, url: str) -> bool:
    """Say whether a run is in one archive."""
    found = select(archived_runs.c.run_id).where(archived_runs.c.archive == url).limit(1)
    return tx.connection.execute(found).first() is not None


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
