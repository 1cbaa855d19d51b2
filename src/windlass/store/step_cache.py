"""Kept results of steps: found by the key of their content, replaced by newer ones, bounded, and each with an end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson

from windlass.store.transaction import Transaction

#: Rows that one unit of work removes.
PORTION: Final = 200


class CacheFile(NamedTuple):
    """A file that belongs to a kept result; its bytes are found by their hash."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """A kept result, and whose it is; times in microseconds."""

    project: str
    key: str
    #: Alias of the job, name of the step, key of the matrix cell.
    job: str
    step: str
    cell: str
    #: The run that worked for it.
    run_id: bytes
    outputs: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    branches: tuple[str, ...] | None = None
    files: tuple[CacheFile, ...] = ()
    #: Digests of the parts of the key, by name.
    parts: dict[str, str] = field(default_factory=dict)
    created_at: int = 0
    expires_at: int = 0


_COLUMNS: Final = (
    "project, key, job, step, cell, run_id, outputs, exit_code, branches, files, parts, created_at, expires_at"
)


def find(tx: Transaction, project: str, key: str) -> CacheEntry | None:
    """Return the result that is kept under a key, whatever its age; None where there is none."""
    row = tx.cursor.execute(
        f"SELECT {_COLUMNS} FROM step_cache WHERE project = ? AND key = ?",  # noqa: S608 - constants only
        (project, key),
    ).fetchone()
    return None if row is None else _entry(row)


def newest_of(tx: Transaction, project: str, job: str, step: str, cell: str) -> CacheEntry | None:
    """Return the newest result that is kept of a step, or of one cell of it, under any key."""
    row = tx.cursor.execute(
        f"SELECT {_COLUMNS} FROM step_cache WHERE project = ? AND job = ? AND step = ? AND cell = ? "  # noqa: S608
        "ORDER BY created_at DESC, key LIMIT 1",
        (project, job, step, cell),
    ).fetchone()
    return None if row is None else _entry(row)


def keep(tx: Transaction, entry: CacheEntry, *, most: int, largest: int) -> None:
    """Keep a result in the place of an older one under its key; what was not taken for longest makes room.

    No more than `most` results are kept, and no more than `largest` bytes of their files together.
    """
    size = sum(file.size for file in entry.files)
    files = _json([list(file) for file in entry.files])
    outputs = _json(entry.outputs) if entry.outputs else None
    branches = None if entry.branches is None else _json(entry.branches)
    values = (
        entry.project, entry.key, entry.job, entry.step, entry.cell, entry.run_id, outputs, entry.exit_code, branches,
        files, size, _json(entry.parts), entry.created_at, entry.expires_at, tx.now,
    )  # fmt: skip
    tx.cursor.execute(
        "INSERT INTO step_cache (project, key, job, step, cell, run_id, outputs, exit_code, branches, files, size, "
        "parts, created_at, expires_at, used_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (project, key) DO UPDATE SET job = excluded.job, step = excluded.step, cell = excluded.cell, "
        "run_id = excluded.run_id, outputs = excluded.outputs, exit_code = excluded.exit_code, "
        "branches = excluded.branches, files = excluded.files, size = excluded.size, parts = excluded.parts, "
        "created_at = excluded.created_at, expires_at = excluded.expires_at, used_at = excluded.used_at",
        values,
    )
    make_room(tx, most=most, largest=largest if size else None)


def make_room(tx: Transaction, *, most: int, largest: int | None) -> int:
    """Remove a portion of what is over the bounds, first what was not taken for longest; return how many those are."""
    row = tx.cursor.execute("SELECT count(*) FROM step_cache").fetchone()
    removed = 0
    if row[0] > most:
        tx.cursor.execute(
            "DELETE FROM step_cache WHERE (project, key) IN "
            "(SELECT project, key FROM step_cache ORDER BY used_at, project, key LIMIT ?)",
            (min(row[0] - most, PORTION),),
        )
        removed += tx.cursor.rowcount
    if largest is not None:
        total = tx.cursor.execute("SELECT coalesce(sum(size), 0) FROM step_cache").fetchone()[0]
        removed += _shrink(tx, total - largest) if total > largest else 0
    return removed


def _shrink(tx: Transaction, excess: int) -> int:
    """Remove results with files until `excess` bytes of these are gone, or a portion is."""
    rows = tx.cursor.execute(
        "SELECT project, key, size FROM step_cache WHERE size > 0 ORDER BY used_at, project, key LIMIT ?", (PORTION,)
    ).fetchall()
    gone: list[tuple[str, str]] = []
    for project, key, size in rows:
        if excess <= 0:
            break
        gone.append((project, key))
        excess -= size
    tx.cursor.executemany("DELETE FROM step_cache WHERE project = ? AND key = ?", gone)
    return len(gone)


def taken(tx: Transaction, project: str, key: str) -> None:
    """Note that a result was taken."""
    tx.cursor.execute(
        "UPDATE step_cache SET used_at = ?, hits = hits + 1 WHERE project = ? AND key = ?", (tx.now, project, key)
    )


def forget_runs(tx: Transaction, run_ids: Sequence[bytes]) -> set[str]:
    """Forget the results that runs worked for; return the hashes of their files that no other result has."""
    files: set[str] = set()
    for run_id in run_ids:
        for (text,) in tx.cursor.execute("SELECT files FROM step_cache WHERE run_id = ?", (run_id,)).fetchall():
            files.update(file[2] for file in orjson.loads(text))
    tx.cursor.executemany("DELETE FROM step_cache WHERE run_id = ?", [(run_id,) for run_id in run_ids])
    return files - kept_files(tx) if files else files


def drop_expired(tx: Transaction) -> int:
    """Remove a portion of the results whose time is over; return how many those are."""
    tx.cursor.execute(
        "DELETE FROM step_cache WHERE (project, key) IN "
        "(SELECT project, key FROM step_cache WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)",
        (tx.now, PORTION),
    )
    return int(tx.cursor.rowcount)


def kept_files(tx: Transaction) -> set[str]:
    """Return the hashes of all files that belong to kept results."""
    rows = tx.cursor.execute("SELECT files FROM step_cache WHERE size > 0 OR files <> '[]'")
    return {file[2] for (text,) in rows for file in orjson.loads(text)}


def figures(tx: Transaction) -> tuple[int, int]:
    """Return how many results are kept, and how many bytes their files have together."""
    row = tx.cursor.execute("SELECT count(*), coalesce(sum(size), 0) FROM step_cache").fetchone()
    return int(row[0]), int(row[1])


def misses(tx: Transaction, run_id: bytes) -> Iterator[tuple[int, Any]]:
    """Yield `(task, what its start says of the cache)` of a run, the newest start of each task last."""
    rows = tx.cursor.execute(
        "SELECT task, data FROM events WHERE run_id = ? AND types LIKE '%task.started%' AND data LIKE '%\"cache\":%' "
        "ORDER BY seq",
        (run_id,),
    )
    for task, data in rows.fetchall():
        yield task, orjson.loads(data).get("cache")


def _entry(row: tuple[Any, ...]) -> CacheEntry:
    """Return a row as an entry. Raises ValueError where its texts are not what was written."""
    project, key, job, step, cell, run_id, outputs, exit_code, branches, files, parts, created_at, expires_at = row
    return CacheEntry(
        project=project,
        key=key,
        job=job,
        step=step,
        cell=cell,
        run_id=run_id,
        outputs=orjson.loads(outputs) if outputs else {},
        exit_code=exit_code,
        branches=None if branches is None else tuple(orjson.loads(branches)),
        files=tuple(CacheFile(*file) for file in orjson.loads(files)),
        parts=orjson.loads(parts),
        created_at=created_at,
        expires_at=expires_at,
    )


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
