"""The cache of compiled jobs."""

from __future__ import annotations

import threading

import pytest

from windlass.engine.compiled import CompiledJob, JobCache, compiled
from windlass.engine.engine import Engine
from windlass.errors import NotFound
from windlass.model.definition import Job, Step


def job_of(size: int) -> Job:
    return Job(alias="a", steps=tuple(Step(name=f"s{number}", type="shell") for number in range(size)))


def make(cache: JobCache, revision_id: int, size: int = 1) -> CompiledJob:
    return cache.compile(revision_id=revision_id, job_id=b"j", project="p", alias="a", number=1, content={"size": size})


@pytest.fixture
def cache() -> JobCache:
    """Return a cache with room for ten steps."""
    return JobCache(lambda content: job_of(content["size"]), steps=10)


def kept(cache: JobCache) -> list[int]:
    return [number for number in range(100) if cache.get(number) is not None]


def test_what_was_used_longest_ago_makes_room(cache: JobCache) -> None:
    for number in range(1, 4):
        cache.put(make(cache, number, size=3))
    assert cache.get(1) is not None
    cache.put(make(cache, 4, size=3))
    assert kept(cache) == [1, 3, 4]


def test_a_job_larger_than_the_room_is_kept_alone(cache: JobCache) -> None:
    cache.put(make(cache, 1, size=3))
    cache.put(make(cache, 2, size=1000))
    assert kept(cache) == [2]
    cache.put(make(cache, 3, size=3))
    assert kept(cache) == [3]


def test_what_is_put_twice_takes_its_room_once(cache: JobCache) -> None:
    for _ in range(10):
        cache.put(make(cache, 1, size=5))
    cache.put(make(cache, 2, size=5))
    assert kept(cache) == [1, 2]


def test_what_is_forgotten_gives_its_room_back(cache: JobCache) -> None:
    cache.put(make(cache, 1, size=10))
    cache.forget(1)
    cache.forget(1)
    assert kept(cache) == []
    cache.put(make(cache, 2, size=5))
    cache.put(make(cache, 3, size=5))
    assert kept(cache) == [2, 3]


def test_threads_may_use_it_at_once(cache: JobCache) -> None:
    errors: list[BaseException] = []

    def use(start: int) -> None:
        try:
            for number in range(start, start + 300):
                cache.put(make(cache, number % 20))
                cache.get(number % 7)
                cache.forget(number % 5)
        except BaseException as error:  # noqa: BLE001 - told below
            errors.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(kept(cache)) <= 10


async def test_a_revision_that_does_not_exist_is_told(engine: Engine) -> None:
    with pytest.raises(NotFound, match="no revision with the id 99"):
        await engine.store.read(compiled, engine.jobs, 99)
