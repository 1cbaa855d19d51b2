"""What lies beside the states: logs have no gap, a key stands for one run, files are those that rows speak of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from windlass.clock import SECOND
from windlass.store.transaction import Transaction

#: When attempts of a job began, in order.
_STARTS: Final = (
    "SELECT t.started_at AS at FROM tasks t JOIN runs r ON r.id = t.run_id "
    "WHERE r.job_id = ? AND t.started_at IS NOT NULL AND t.kept_from IS NULL "
    "UNION ALL SELECT a.started_at FROM attempts a JOIN runs r ON r.id = a.run_id WHERE r.job_id = ? "
    "UNION ALL SELECT q.started_at FROM queue q JOIN runs r ON r.id = q.run_id "
    "WHERE r.job_id = ? AND q.state = 'running' ORDER BY at"
)


def torn_logs(tx: Transaction) -> list[str]:
    """Return which attempts have a gap in their output, or less of it than they say they left."""
    said = {
        (row[0], row[1], row[2]): row[3]
        for row in tx.cursor.execute(
            "SELECT run_id, task, attempt, log_bytes FROM tasks WHERE outcome IS NOT NULL AND kept_from IS NULL "
            "UNION ALL SELECT run_id, task, number, log_bytes FROM attempts"
        )
    }
    found = []
    for run_id, task, attempt, first, last, count, size in tx.cursor.execute(
        "SELECT run_id, task, attempt, min(seq), max(seq), count(*), sum(length(data)) FROM log_chunks GROUP BY 1, 2, 3"
    ).fetchall():
        name = f"O7 run {run_id.hex()[-8:]}, task {task}, attempt {attempt}"
        if (first, last) != (1, count):
            found.append(f"{name}: {count} chunks are numbered {first} to {last}")
        told = said.pop((run_id, task, attempt), None)
        if told is not None and told != size:
            found.append(f"{name}: it left {told} bytes of output, {size} are there")
    found += [
        f"O7 run {run_id.hex()[-8:]}, task {task}, attempt {attempt}: it left {told} bytes of output, none are there"
        for (run_id, task, attempt), told in said.items()
        if told
    ]
    return found


def double_keys(tx: Transaction) -> list[str]:
    """Return which idempotency keys stand for more than one run."""
    rows = tx.cursor.execute(
        "SELECT idempotency_key, count(*) FROM runs WHERE idempotency_key IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
    )
    return [f"O3 the key {key} stands for {count} runs" for key, count in rows]


def overspent(tx: Transaction) -> list[str]:
    """Return which jobs started more tasks in some window than their limited resource lets them.

    Looked at are jobs with one resource, of which each of their starts takes one unit.
    """
    found = []
    for job_id, alias, content in tx.cursor.execute(
        "SELECT j.id, j.alias, r.content FROM jobs j JOIN revisions r ON r.job_id = j.id AND r.number = j.revision"
    ).fetchall():
        limits = json.loads(content).get("rateLimits") or []
        if len(limits) != 1:
            continue
        most, window = limits[0]["limit"], round(limits[0]["window"] * SECOND)
        starts = [row[0] for row in tx.cursor.execute(_STARTS, (job_id, job_id, job_id))]
        found += [
            f"O8 job {alias}: {most + 1} starts in {(last - first) / SECOND:g} s, {most} may be in {window / SECOND:g}"
            for first, last in zip(starts, starts[most:], strict=False)
            if last - first < window
        ]
    return found


def lost_files(tx: Transaction, home: Path, away: Mapping[bytes, Path]) -> list[str]:
    """Return which artifacts are not on the disk as their rows say; those of runs `away` are in their archive."""
    return [
        f"O1 run {run_id.hex()[-8:]}: its artifact {name} is not there whole"
        for run_id, name, digest, path in tx.cursor.execute("SELECT run_id, name, sha256, path FROM artifacts")
        if _digest(away[run_id] / digest if run_id in away else home / "artifacts" / path) != digest
    ]


def check_folders(home: Path, *, at_rest: bool) -> Iterator[str]:
    """Yield what lies about in the folders of a store at rest: half copies, and folders of attempts."""
    if not at_rest:
        return
    for path in (home / "attempts").glob("*"):
        yield f"O8 the folder {path.name} of an attempt is left"
    for path in (home / "artifacts").glob("*/.partial-*"):
        yield f"O8 the half copy {path} of an artifact is left"


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
