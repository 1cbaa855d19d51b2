"""What archives may hold although no run needs it: noted before it is written there, and when its run has left.

A clean-up removes what is noted here and what no run has, and nothing else: what an archive holds beyond that may be of
another copy of this store, or of a later state of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from sqlalchemy import delete, select

from windlass.clock import SECOND
from windlass.store.archive_tables import archive_traces, archived_files, archived_runs
from windlass.store.file_errands import awaited_contents
from windlass.store.transaction import Transaction

Kind = Literal["document", "file"]
_INSERT: Final = "INSERT INTO archive_traces (archive, kind, name) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_DAY: Final = "%Y/%m/%d"


def document_name(run_id: bytes, place: str) -> str:
    """Return what an archive knows the document of a run by: a file by its name, an entry of a database by its run."""
    return place.partition("#")[0] or run_id.hex()


def note_traces(tx: Transaction, archive: str, kind: Kind, names: Iterable[str]) -> None:
    """Note what an archive may hold without need from now on."""
    rows = [(archive, kind, name) for name in sorted(set(names))]
    if rows:
        tx.cursor.executemany(_INSERT, rows)


def traces(tx: Transaction, archive: str, kind: Kind, limit: int, after: str = "") -> list[str]:
    """Return what is noted of an archive, by name after `after`."""
    table = archive_traces
    found = select(table.c.name).where(table.c.archive == archive, table.c.kind == kind, table.c.name > after)
    return list(tx.connection.execute(found.order_by(table.c.name).limit(limit)).scalars())


def traced_archives(tx: Transaction) -> set[str]:
    """Return the addresses of all archives of which something is noted."""
    return set(tx.connection.execute(select(archive_traces.c.archive).distinct()).scalars())


def noted(tx: Transaction, archive: str, kind: Kind, names: Sequence[str]) -> set[str]:
    """Return those of `names` that are noted."""
    table = archive_traces
    mine = select(table.c.name).where(table.c.archive == archive, table.c.kind == kind, table.c.name.in_(names))
    return set(tx.connection.execute(mine).scalars())


def unneeded(tx: Transaction, archive: str, kind: Kind, names: Sequence[str]) -> list[str]:
    """Return those of `names` that are noted and that no run has; of the others nothing is noted any more.

    Contents that homes keep for runs which have not left yet are not among them, and stay noted.
    """
    mine = sorted(noted(tx, archive, kind, names))
    known = known_documents(tx, archive, mine) if kind == "document" else known_contents(tx, archive, mine)
    forget_traces(tx, archive, kind, sorted(known))
    awaited = awaited_contents(tx, mine) if kind == "file" else set()
    return [name for name in mine if name not in known | awaited]


def forget_traces(tx: Transaction, archive: str, kind: Kind, names: Sequence[str]) -> None:
    """Forget what was noted: it is gone, or a run has it."""
    if names:
        table = archive_traces
        mine = (table.c.archive == archive) & (table.c.kind == kind)
        tx.connection.execute(delete(table).where(mine, table.c.name.in_(names)))


def forget_all_traces(tx: Transaction, archive: str) -> None:
    """Forget all that was noted of an archive."""
    tx.connection.execute(delete(archive_traces).where(archive_traces.c.archive == archive))


def known_contents(tx: Transaction, archive: str, names: Sequence[str]) -> set[str]:
    """Return those contents that a run of an archive has."""
    table = archived_files
    found = select(table.c.sha256).where(table.c.archive == archive, table.c.sha256.in_(names)).distinct()
    return set(tx.connection.execute(found).scalars())


def known_documents(tx: Transaction, archive: str, names: Sequence[str]) -> set[str]:
    """Return those documents that a run is in."""
    table = archived_runs
    ids = [bytes.fromhex(name) for name in names if "/" not in name]
    found = select(table.c.run_id).where(table.c.archive == archive, table.c.run_id.in_(ids))
    known = {run_id.hex() for run_id in tx.connection.execute(found).scalars()} if ids else set()
    for day in {name.rpartition("/")[0] for name in names if "/" in name}:
        known |= _files_of_day(tx, archive, day)
    return known & set(names)


def _files_of_day(tx: Transaction, archive: str, day: str) -> set[str]:
    """Return the files that an archive has of the runs which ended on a day: their names begin with it."""
    begin = datetime.strptime(day, _DAY).replace(tzinfo=UTC)
    low, high = (round(one.timestamp()) * SECOND for one in (begin, begin + timedelta(days=1)))
    table = archived_runs
    found = select(table.c.place).where(
        table.c.archive == archive, table.c.finished_at >= low, table.c.finished_at < high
    )
    return {place.partition("#")[0] for place in tx.connection.execute(found.distinct()).scalars()}
