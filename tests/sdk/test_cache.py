"""Jobs in Python whose results are taken instead of working again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from windlass import Job, UserError, Windlass
from windlass import job as as_job
from windlass.sdk.definition import define

pytestmark = pytest.mark.promise("C19")

SECONDS = 20.0
CALLS: list[Any] = []
RELEASE = asyncio.Event()


class Doubled(Job[dict[str, int], dict[str, int]]):
    """Doubles a number, with much effort."""

    cache: ClassVar[Mapping[str, Any]] = {"ttl": "1h"}

    async def execute(self, context: dict[str, int]) -> dict[str, int]:
        CALLS.append(context)
        return {"twice": context["n"] * 2}


@as_job(cache=True)
def halved(n: int) -> dict[str, int]:
    CALLS.append(n)
    return {"half": n // 2}


async def test_a_job_with_cache_is_called_once_for_the_same_context(sdk: Windlass) -> None:
    CALLS.clear()
    runs = [await sdk.submit(Doubled, {"n": n}) for n in (1, 2)]
    found = [await run.wait(SECONDS) for run in runs]
    again = await sdk.submit(Doubled, {"n": 1})
    assert (await again.wait(SECONDS), CALLS) == (found[0], [{"n": 1}, {"n": 2}])
    why = await again.why("execute")
    assert why["because"][0]["from"] == runs[0].id
    fresh = await sdk.submit(Doubled, {"n": 1}, no_cache=True)
    assert (await fresh.wait(SECONDS), len(CALLS)) == (found[0], 3)
    assert [run["twice"] for run in found] == [2, 4]


async def test_a_function_too(sdk: Windlass) -> None:
    CALLS.clear()
    assert [await (await sdk.submit(halved, {"n": n})).wait(SECONDS) for n in (4, 4, 6)] == [
        {"half": 2},
        {"half": 2},
        {"half": 3},
    ]
    assert CALLS == [4, 6]


def test_the_source_of_a_job_is_its_version_unless_it_names_one() -> None:
    def other(n: int) -> int:
        return n + 1

    def same(n: int) -> int:
        return n + 1

    step = define(Doubled).manifest(app="shop")["steps"][0]
    assert (step["cache"]["ttl"], len(step["cache"]["version"])) == ("1h", 16)
    versions = [
        define(as_job(cache=True)(function)).manifest(app="shop")["steps"][0]["cache"]["version"]
        for function in (other, other, same)
    ]
    assert (versions[0] == versions[1], versions[0] == versions[2]) == (True, False)
    named = define(as_job(cache={"version": 7})(other)).manifest(app="shop")["steps"][0]
    assert named["cache"] == {"version": 7}
    assert "cache" not in define(as_job(other)).manifest(app="shop")["steps"][0]


def test_cache_is_true_false_or_a_mapping() -> None:
    def job(n: int) -> int:
        return n

    with pytest.raises(UserError, match="cache is True, False or a mapping with ttl, not '1h'"):
        define(as_job(cache="1h")(job))


@as_job(sla={"duration": 0.05})
async def slow(n: int) -> int:
    await RELEASE.wait()
    return n


async def test_a_job_that_is_late_tells_and_goes_on(sdk: Windlass) -> None:
    RELEASE.clear()
    late = sdk.subscribe(["run.sla_missed"])
    run = await sdk.submit(slow, {"n": 1})
    async with asyncio.timeout(SECONDS):
        event = await anext(aiter(late))
    assert (event["runId"], event["data"]["sla"]) == (run.id, "duration")
    RELEASE.set()
    await run.wait(SECONDS)
    assert (await run.refresh())["sla"]["duration"]["missedAt"] is not None
