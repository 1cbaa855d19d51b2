"""Whether a database is sound: its pages, its references, its schema."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from sqlalchemy import create_engine

from windlass.store.deviations import REPAIR, Deviations, deviations
from windlass.store.migrations import FLOOR, HEAD, VERSIONS
from windlass.store.programs import PROGRAMS, programs_below
from windlass.store.schema_facts import schema_facts
from windlass.store.store import Store
from windlass.store.transaction import Transaction
from windlass.store.upgrade import create_schema, is_newer, schema_version

#: Findings of one kind that are listed; a damaged file has thousands.
_LISTED: Final = 20
#: Releases of SQLite in which two writing connections can corrupt a write-ahead log: from, up to; and mended series.
_WAL_RESET: Final = ((3, 7, 0), (3, 51, 3))
_MENDED_FROM: Final = {(3, 44): 6, (3, 50): 7}


@dataclass(frozen=True, slots=True)
class Check:
    """What a check found, each finding one sentence."""

    #: Version of the schema.
    version: str | None
    problems: tuple[str, ...]
    #: Worth knowing, and harmless.
    notes: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Say whether nothing is wrong."""
        return not self.problems

    @property
    def damage(self) -> tuple[str, ...]:
        """Return what `doctor --repair` cannot put right."""
        return tuple(problem for problem in self.problems if REPAIR not in problem)


async def check(store: Store) -> Check:
    """Read the whole database and say what is wrong with it; takes seconds for each gigabyte and changes nothing."""
    return await store.read(check_now)


def check_now(tx: Transaction) -> Check:
    """Check in a running transaction."""
    version = schema_version(tx.connection)
    if tx.dialect == "postgresql":
        return _check_server(tx, version)
    found = _schema(tx) if version == HEAD else Deviations((_outdated(version),))
    problems = (*_damaged_pages(tx), *_dangling(tx), *found.problems)
    return Check(version, problems, (*found.notes, *_notes(sqlite3.sqlite_version_info)))


def _check_server(tx: Transaction, version: str | None) -> Check:
    """Check what is ours to check: pages and references the server looks after itself."""
    from windlass.store.postgres.drift import drift  # noqa: PLC0415 - costs what no other store needs

    if version is None:
        made = "There is no store in the database yet: `windlass up`, `worker` or `db upgrade` makes it."
        return Check(None, (made,), ())
    newer = is_newer(version)
    found = drift(tx.connection) if version == HEAD or newer else _before_upgrade(tx, version)
    notes = list(found.notes)
    flush = "SELECT current_setting('fsync'), current_setting('full_page_writes')"
    notes += [
        f"The server has {name} = off: when its machine fails, the database may be lost."
        for name, value in zip(("fsync", "full_page_writes"), tx.cursor.execute(flush).fetchone(), strict=True)
        if value == "off"
    ]
    if newer:
        notes.append(f"The schema is {version}, of a newer Windlass; this one, which needs {HEAD}, can work with it.")
    return Check(version, found.problems, tuple(notes))


def _before_upgrade(tx: Transaction, version: str) -> Deviations:
    """Say what an upgrade would do now, and who is in its way."""
    steps = VERSIONS[VERSIONS.index(version) + 1 :]
    through = f"the versions {steps[0]} to {steps[-1]}" if len(steps) > 1 else f"version {steps[0]}"
    notes = [f"The upgrade takes the schema through {through}, in one transaction; servers and workers do it as well."]
    if version >= PROGRAMS:
        notes += [
            f"{one.instance} (Windlass {one.version}) works on the database and could not go on after the upgrade, "
            "which is refused until that has ended."
            for one in programs_below(tx, FLOOR)
        ]
    return Deviations((_outdated(version),), tuple(notes))


def _outdated(version: str | None) -> str:
    return f"The schema is {version}, this program needs {HEAD}: run `windlass db upgrade`."


def _damaged_pages(tx: Transaction) -> list[str]:
    rows = [str(row[0]) for row in tx.connection.exec_driver_sql(f"PRAGMA integrity_check({_LISTED})")]
    return [f"The file is damaged: {line}." for line in rows if line != "ok"]


def _dangling(tx: Transaction) -> list[str]:
    rows = tx.connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(_LISTED)
    return [f"A row of {row[0]} (rowid {row[1]}) points at a row of {row[2]} that is not there." for row in rows]


def _schema(tx: Transaction) -> Deviations:
    engine = create_engine("sqlite://")
    with engine.connect() as fresh:
        create_schema(fresh)
        wanted = schema_facts(fresh)
    engine.dispose()
    return deviations(wanted, schema_facts(tx.connection))


def _notes(version: tuple[int, ...]) -> list[str]:
    first, mended = _WAL_RESET
    if not first <= version < mended or version[2] >= _MENDED_FROM.get((version[0], version[1]), 1_000):
        return []
    note = (
        f"SQLite {'.'.join(map(str, version[:3]))} can corrupt a write-ahead log that two connections write at once; "
        "Windlass writes with one. Let no other program write to this file."
    )
    return [note]
