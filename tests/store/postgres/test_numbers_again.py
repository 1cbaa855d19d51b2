"""Numbers of revisions that PostgreSQL gives again after a crash: what was compiled of lost ones stands for nothing."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.engine.compiled import JobCache, compiled
from windlass.model.manifest.canonical import to_job
from windlass.store.postgres.store import PostgresStore
from windlass.store.transaction import Transaction, apart

_CONTENT = '{"apiVersion":"v1","kind":"Job","metadata":{"alias":"a"},"steps":[{"config":{},"name":"%s","type":"fake"}]}'


class Lost(Exception):
    """Stands for the end of the server in the middle of a transaction."""


def insert(tx: Transaction, step: str) -> int:
    job = (b"\1" * 16, "default", "a", 1, "{}", tx.now, tx.now)
    tx.cursor.execute(
        "INSERT INTO jobs (id, project, alias, revision, labels, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        job,
    )
    row = (b"\1" * 16, 1, step, _CONTENT % step, tx.now)
    found = tx.cursor.execute(
        "INSERT INTO revisions (job_id, number, digest, content, created_at) VALUES (?, ?, ?, ?, ?) RETURNING id", row
    )
    return int(found.fetchone()[0])


@pytest.mark.parametrize("inner", [False, True], ids=["plain", "behind a savepoint"])
async def test_what_was_compiled_in_a_lost_transaction_is_not_kept(
    postgres_store: PostgresStore, *, inner: bool
) -> None:
    cache = JobCache(to_job)

    def lose(tx: Transaction) -> None:
        numbers: list[int] = []
        if inner:
            assert apart(tx, lambda: numbers.append(insert(tx, "old"))) is None
        else:
            numbers.append(insert(tx, "old"))
        assert compiled(tx, cache, numbers[0]).job.steps[0].name == "old"
        raise Lost

    def begin_again(tx: Transaction) -> int:
        tx.cursor.execute("SELECT setval('revisions_id_seq', 1, false)")  # as after a crash
        return insert(tx, "new")

    with pytest.raises(Lost):
        await postgres_store.run(lose)
    number = await postgres_store.run(begin_again)
    assert number == 1
    found: Any = await postgres_store.read(compiled, cache, number)
    assert found.job.steps[0].name == "new"
    assert cache.get(number) is found  # and is kept from now on
