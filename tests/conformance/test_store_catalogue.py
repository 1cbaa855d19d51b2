"""What every store promises about jobs and revisions, below the rules of applying."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError

from windlass.clock import ManualClock
from windlass.ids import SequentialIds
from windlass.store import jobs as stored
from windlass.store import revisions, tables
from windlass.store.sqlite import SqliteStore
from windlass.store.transaction import Transaction

IDS = SequentialIds()


def add(tx: Transaction, alias: str, *, project: str = "default", listed: bool = True, content: str = "{}") -> bytes:
    job_id = IDS.new()
    stored.insert_job(
        tx, job_id=job_id, project=project, alias=alias, labels={"a": "1"}, provenance=None, listed=listed
    )
    revise(tx, job_id, 1, content)
    return job_id


def revise(tx: Transaction, job_id: bytes, number: int, content: str = "{}") -> int:
    return revisions.insert_revision(
        tx,
        job_id=job_id,
        number=number,
        digest=f"digest {number}",
        content=content,
        provenance={"source": "git"},
        author="ann",
        message="why",
    )


async def test_a_job_comes_back_as_it_was_stored(store: SqliteStore, clock: ManualClock) -> None:
    job_id = await store.run(add, "a")
    job = await store.read(stored.live_job, "default", "a")
    assert job is not None
    assert job == await store.read(stored.job_by_id, job_id)
    assert (job.id, job.alias, job.revision, job.digest, job.labels) == (job_id, "a", 1, "digest 1", {"a": "1"})
    assert (job.enabled, job.listed, job.provenance, job.deleted_at) == (True, True, None, None)
    assert job.created_at == job.updated_at == clock.now()


async def test_a_revision_comes_back_as_it_was_stored(store: SqliteStore, clock: ManualClock) -> None:
    job_id = await store.run(add, "a", content='{"é": 1}')
    job = await store.read(stored.live_job, "default", "a")
    assert job is not None
    found = await store.read(revisions.revision, job.revision_id)
    assert found is not None
    assert (found.job_id, found.project, found.alias, found.number) == (job_id, "default", "a", 1)
    assert (found.content, found.provenance) == ('{"é": 1}', {"source": "git"})
    assert (found.author, found.message, found.created_at) == ("ann", "why", clock.now())
    assert await store.read(revisions.revision, 10**12) is None
    assert await store.read(revisions.numbered_revision, job_id, 2) is None


async def test_the_newest_revision_is_the_one_that_the_job_names(store: SqliteStore, clock: ManualClock) -> None:
    job_id = await store.run(add, "a")

    def change(tx: Transaction) -> int:
        number = revise(tx, job_id, 2, '{"n": 2}')
        stored.update_job(tx, job_id, revision=2, labels={}, provenance={"source": "git"})
        return number

    clock.advance(1)
    second = await store.run(change)
    job = await store.read(stored.live_job, "default", "a")
    assert job is not None
    assert (job.revision, job.revision_id, job.labels, job.provenance) == (2, second, {}, {"source": "git"})
    assert job.updated_at == clock.now() == job.created_at + 1_000_000
    numbers = [one.number for one in await store.read(revisions.revisions_of, job_id, before=None, limit=9)]
    assert numbers == [2, 1]


async def test_a_name_has_one_live_job_and_any_number_of_deleted_ones(store: SqliteStore, clock: ManualClock) -> None:
    for _ in range(3):
        job_id = await store.run(add, "a")
        with pytest.raises(IntegrityError):
            await store.run(add, "a")
        await store.run(stored.mark_deleted, [job_id])
        clock.advance(1)
    assert await store.read(stored.live_job, "default", "a") is None
    last = await store.read(stored.deleted_jobs_named, "default", ["a", "b"])
    assert {alias: job.id for alias, job in last.items()} == {"a": job_id}
    deleted = await store.read(stored.job_by_id, job_id)
    assert deleted is not None
    assert deleted.deleted_at == clock.now() - 1_000_000


async def test_deleting_twice_keeps_the_first_time(store: SqliteStore, clock: ManualClock) -> None:
    job_id = await store.run(add, "a")
    await store.run(stored.mark_deleted, [job_id])
    first = clock.now()
    clock.advance(1)
    await store.run(stored.mark_deleted, [job_id])
    job = await store.read(stored.job_by_id, job_id)
    assert job is not None
    assert job.deleted_at == first


async def test_unlisted_jobs_stand_beside_the_listed_one(store: SqliteStore) -> None:
    listed = await store.run(add, "a")
    first, second = [await store.run(add, "a", listed=False) for _ in range(2)]
    assert first != second
    live = await store.read(stored.live_job, "default", "a")
    newest = await store.read(stored.unlisted_job, "default", "a")
    assert live is not None
    assert newest is not None
    assert (live.id, newest.id) == (listed, second)
    assert await store.read(stored.aliases, "default") == ["a"]
    assert len(await store.read(stored.list_jobs, stored.JobFilter())) == 1


async def test_more_names_than_one_statement_takes(store: SqliteStore) -> None:
    names = [f"j{number:04}" for number in range(1_203)]

    def add_all(tx: Transaction) -> None:
        for name in names:
            add(tx, name)

    await store.run(add_all)
    found = await store.read(stored.live_jobs_named, "default", [*names, "none"])
    assert sorted(found) == names
    assert found == await store.read(stored.live_jobs, "default")
    contents = await store.read(revisions.contents_of, [job.revision_id for job in found.values()])
    assert len(contents) == len(names)
    await store.run(stored.mark_deleted, [job.id for job in found.values()])
    assert await store.read(stored.live_jobs, "default") == {}


async def test_ids_of_revisions_grow_and_belong_to_one_unit_each(store: SqliteStore) -> None:
    job_id = await store.run(add, "a")
    made = await asyncio.gather(*(store.run(revise, job_id, number) for number in range(2, 30)))
    assert made == sorted(set(made))


async def test_the_id_of_a_revision_that_is_gone_is_not_given_to_another(store: SqliteStore) -> None:
    job_id = await store.run(add, "a")
    last = await store.run(revise, job_id, 2)
    await store.run(lambda tx: tx.connection.execute(delete(tables.revisions).where(tables.revisions.c.id == last)))
    assert await store.run(revise, job_id, 3) > last
