"""What is measured of a server from outside: rows, files, memory, descriptors, threads, processes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from windlass.store.tables import metadata
from windlass.supervisor.procfs import processes

#: Tables whose rows outlive their runs by promise, each with what bounds them instead.
KEPT: Final = {
    "alembic_version": "one row",
    "idempotency_keys": "one row a key, for 24 hours",
    "jobs": "the jobs that were applied",
    "revisions": "the revisions that were applied",
    "routes": "one row for each queue, pool and labels",
    "run_hours": "one row an hour, job and state",
    "store_info": "facts about the store",
    "workers": "one row an owner",
}
MIB: Final = 1024 * 1024


def sample(database: Path, pids: dict[str, int]) -> dict[str, float]:
    """Return everything that is measured at one moment; `pids` are the owner and those who belong to it."""
    found = {**_rows(database), **_files(database)}
    for name, pid in pids.items():
        found |= {f"{name} {what}": value for what, value in _process(pid).items()}
    found["processes"] = float(len(descendants(pids["owner"])) + 1)
    return found


def descendants(pid: int) -> set[int]:
    """Return all processes below `pid`."""
    table = processes()
    below: set[int] = set()
    fresh = {pid}
    while fresh:
        fresh = {one.pid for one in table.values() if one.parent in fresh} - below
        below |= fresh
    return below


def _rows(database: Path) -> dict[str, float]:
    """Count the rows of all tables in one view, and the events that belong to no run."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as connection:
        connection.execute("BEGIN")
        names = sorted(metadata.tables)
        counts = [connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names]  # noqa: S608 - ours
        free = connection.execute("PRAGMA freelist_count").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    rows = {f"rows {name}": float(count) for name, count in zip(names, counts, strict=True)}
    return rows | {"file free MiB": free * size / MIB}


def _files(database: Path) -> dict[str, float]:
    home = database.parent
    sizes = {path.relative_to(home): size for path, size in _sizes(home.rglob("*"))}
    folders = {"artifacts": "files kept", "attempts": "files of attempts"}
    found = {
        what: float(sum(path.parts[0] == folder and len(path.parts) > 1 for path in sizes))
        for folder, what in folders.items()
    }
    for suffix, what in (("", "file MiB"), ("-wal", "log MiB")):
        found[what] = sizes.get(Path(database.name + suffix), 0) / MIB
    found["home MiB"] = sum(sizes.values()) / MIB
    return found


def _sizes(paths: Iterable[Path]) -> Iterable[tuple[Path, int]]:
    with suppress(FileNotFoundError):  # a folder that went while it was listed
        for path in paths:
            with suppress(OSError):
                yield path, path.lstat().st_size


def _process(pid: int) -> dict[str, float]:
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return {
        "MiB": int(fields["VmRSS"].split()[0]) / 1024,
        "threads": float(fields["Threads"]),
        "descriptors": float(len(list(Path(f"/proc/{pid}/fd").iterdir()))),
    }
