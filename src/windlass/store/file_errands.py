# ruff: noqa: S608 - the only texts put together here are constants of this module
"""What the owner of a home has still to do with files of runs that lie there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Literal, NamedTuple

import orjson

from windlass.store.transaction import Transaction

What = Literal["remove", "archive", "return"]
#: Stands for the home of files of which nobody has said yet where they lie.
UNKNOWN: Final = ""
_OPEN: Final = "answer IS NULL"


class Errand(NamedTuple):
    """One thing that is to be done with the files of a run in a home."""

    run_id: bytes
    what: What
    #: The archive that the run goes to; None of what does not go there.
    archive: str | None


class Answer(NamedTuple):
    """What came of keeping the files of a run in a home."""

    #: Where the contents are now, by address.
    place: str
    kept: frozenset[str]
    gone: frozenset[str]


class Asked(NamedTuple):
    """What was asked of a home about the files of a run that goes to an archive."""

    archive: str | None
    answer: Answer | None
    trouble: str | None


class Waiting(NamedTuple):
    """What waits for a home."""

    home: str
    runs: int
    #: When the first of it was asked.
    since: int
    #: Why one of it could not be done; None where nothing was in the way.
    trouble: str | None


def ask(tx: Transaction, home: str, run_id: bytes, what: What, archive: str | None = None) -> None:
    """Ask the owner of a home for something, in place of what was asked before; the same is not asked twice."""
    tx.cursor.execute(
        "INSERT INTO file_errands (home, run_id, what, archive, asked_at) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (home, run_id) DO UPDATE SET what = excluded.what, archive = excluded.archive, "
        "asked_at = excluded.asked_at, answer = NULL, trouble = NULL WHERE file_errands.what <> excluded.what "
        "OR coalesce(file_errands.archive, '') <> coalesce(excluded.archive, '')",
        (home, run_id, what, archive, tx.now),
    )
    tx.hints.add("errands")


def open_errands(
    tx: Transaction, home: str, after: bytes, limit: int, only: Sequence[bytes] | None = None
) -> list[Errand]:
    """Return what a home has still to do, by run after `after`; with `only` of these runs alone."""
    these = "" if only is None else f" AND run_id IN ({', '.join('?' * len(only))})"
    rows = tx.cursor.execute(
        f"SELECT run_id, what, archive FROM file_errands WHERE home = ? AND run_id > ? AND {_OPEN}{these} "
        "ORDER BY run_id LIMIT ?",
        (home, after, *(only or ()), limit),
    )
    return [Errand(bytes(run_id), what, archive) for run_id, what, archive in rows.fetchall()]


def say_done(tx: Transaction, home: str, errand: Errand) -> None:
    """Note that something was done, unless something else was asked meanwhile."""
    tx.cursor.execute(
        "DELETE FROM file_errands WHERE home = ? AND run_id = ? AND what = ?", (home, errand.run_id, errand.what)
    )


def say_kept(tx: Transaction, home: str, errand: Errand, answer: Answer) -> None:
    """Note what came of keeping files for an archive, unless something else was asked meanwhile."""
    said = {"place": answer.place, "kept": sorted(answer.kept), "gone": sorted(answer.gone)}
    tx.cursor.execute(
        "UPDATE file_errands SET answer = ?, trouble = NULL "
        "WHERE home = ? AND run_id = ? AND what = ? AND coalesce(archive, '') = ?",
        (orjson.dumps(said).decode(), home, errand.run_id, errand.what, errand.archive or ""),
    )


def say_trouble(tx: Transaction, home: str, run_id: bytes, why: str) -> None:
    """Note why something could not be done."""
    tx.cursor.execute("UPDATE file_errands SET trouble = ? WHERE home = ? AND run_id = ?", (why, home, run_id))


def asked_of(tx: Transaction, run_id: bytes) -> dict[str, Asked]:
    """Return what was asked about the files of a run that goes to an archive, by home."""
    rows = tx.cursor.execute(
        "SELECT home, archive, answer, trouble FROM file_errands WHERE run_id = ? AND what = 'archive'", (run_id,)
    )
    return {home: Asked(archive, _read(answer), trouble) for home, archive, answer, trouble in rows.fetchall()}


def drop_asked(tx: Transaction, run_ids: Collection[bytes], home: str | None = None) -> None:
    """Forget whatever was asked about runs; with `home` only of that one."""
    one = "" if home is None else " AND home = ?"
    values = () if home is None else (home,)
    tx.cursor.executemany(
        f"DELETE FROM file_errands WHERE run_id = ?{one}", [(run_id, *values) for run_id in sorted(run_ids)]
    )


def waiting(tx: Transaction) -> list[Waiting]:
    """Return what waits for each home."""
    rows = tx.cursor.execute(
        "SELECT home, count(*), min(asked_at), max(trouble) FROM file_errands "
        f"WHERE {_OPEN} GROUP BY home ORDER BY home"
    )
    return [Waiting._make(row) for row in rows.fetchall()]


def asked_runs(tx: Transaction, home: str, limit: int) -> list[bytes]:
    """Return runs that go to an archive and wait for their files in a home."""
    rows = tx.cursor.execute(
        f"SELECT run_id FROM file_errands WHERE home = ? AND what = 'archive' AND {_OPEN} LIMIT ?", (home, limit)
    )
    return [bytes(row[0]) for row in rows.fetchall()]


def drop_removals(tx: Transaction, home: str) -> None:
    """Ask no more of a home to remove files."""
    tx.cursor.execute("DELETE FROM file_errands WHERE home = ? AND what = 'remove'", (home,))


def awaited_contents(tx: Transaction, names: Sequence[str]) -> set[str]:
    """Return those contents that are kept already of runs which are still on their way to an archive, or back."""
    if not names:
        return set()
    rows = tx.cursor.execute(
        "SELECT DISTINCT a.sha256 FROM file_errands e JOIN artifacts a ON a.run_id = e.run_id "
        f"WHERE e.what <> 'remove' AND a.sha256 IN ({', '.join('?' * len(names))})",
        tuple(names),
    )
    return {row[0] for row in rows.fetchall()}


def _read(text: str | None) -> Answer | None:
    if text is None:
        return None
    said = orjson.loads(text)
    return Answer(said["place"], frozenset(said["kept"]), frozenset(said["gone"]))
