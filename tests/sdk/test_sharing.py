"""One database and several applications: at the same time, and one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.sdk import sample
from windlass import Conflict, NotFound, RetryPolicy, RunNotCompleted, Unavailable, UserError, Windlass
from windlass import job as as_job
from windlass.engine.repairing import repair
from windlass.engine.room import look_at
from windlass.errors import NoRoom
from windlass.model.room import Disk
from windlass.sdk.embedded import Embedded
from windlass.sdk.remote import Remote

SECONDS = 20.0


@pytest.fixture
def url(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    request.node.user_properties.append(("store", "sqlite"))
    return f"sqlite:///{tmp_path}/jobs.db"


@pytest.fixture
async def guest(sdk: Windlass, url: str) -> AsyncIterator[Windlass]:  # noqa: ARG001 - the owner must be there
    """Give an application on a store that another one owns."""
    async with Windlass(url) as app:
        assert isinstance(app._backend, Remote)
        yield app


async def test_a_second_application_works_through_the_owner(guest: Windlass) -> None:
    events = guest.subscribe(["run.*"])
    run = await guest.submit(sample.Price, sample.Order("tea", 2), labels={"who": "guest"}, priority="high")
    assert (await run.wait(SECONDS))["price"] == 6
    assert await run.logs() == "pricing tea\n"
    assert [chunk["data"] async for chunk in run.logs(follow=True)] == [b"pricing tea\n"]
    shape = await run.refresh()
    assert (shape["state"], shape["labels"], shape["priority"]) == ("completed", {"who": "guest"}, 10)
    found = [(await anext(events))["type"] for _ in range(3)]
    assert found == ["run.created", "run.queued", "run.started"]


async def test_a_guest_tells_events_that_the_owner_hears(guest: Windlass, sdk: Windlass) -> None:
    heard = sdk.subscribe(["deploy.*"])
    await heard.begun
    seq = await guest.send_event("deploy.done", {"env": "prod"}, source="ci")
    async with asyncio.timeout(SECONDS):
        event = await anext(heard)
    assert (event["seq"], event["type"], event["source"], event["data"]) == (seq, "deploy.done", "ci", {"env": "prod"})
    with pytest.raises(UserError, match=r"a type of Windlass's own"):
        await guest.send_event("task.done")
    await heard.aclose()


async def test_a_guest_and_the_owner_are_told_why(guest: Windlass, sdk: Windlass) -> None:
    def bad() -> None:
        raise ValueError("no")

    run = await sdk.submit(bad, key="once")
    with pytest.raises(RunNotCompleted):
        await run.wait(SECONDS)
    told = await run.why()
    assert (told["state"], told["because"][0]["kind"]) == ("failed", "step")
    assert await (await guest.get(run.id)).why() == told
    step = told["because"][0]["step"]
    assert (await (await guest.get(run.id)).why(step))["subject"]["step"] == step


@pytest.mark.parametrize("asked_by", ["owner", "guest"])
async def test_dead_letters_are_listed_and_queued_again(guest: Windlass, sdk: Windlass, asked_by: str) -> None:
    mended = False

    def flaky() -> int:
        if not mended:
            raise ValueError("no")
        return 7

    app = sdk if asked_by == "owner" else guest
    run = await sdk.submit(as_job(name="flaky", retry=RetryPolicy(attempts=1))(flaky))
    with pytest.raises(RunNotCompleted):
        await run.wait(SECONDS)
    (letter,) = await app.dead_letters(job="flaky")
    assert (letter["runId"], await app.dead_letters(queue="none")) == (run.id, [])
    mended = True
    (new,) = await app.requeue(letter["id"])
    await new.wait(SECONDS)
    assert (await new.refresh())["trigger"]["run"] == run.id
    assert await app.dead_letters() == []
    assert [again.id for again in await app.requeue(run.id)] == [new.id]
    assert await app.requeue() == []


async def test_a_guest_is_told_how_runs_end_and_can_stop_them(guest: Windlass, sdk: Windlass) -> None:
    begun = asyncio.Event()

    async def endless() -> None:
        begun.set()
        await asyncio.Event().wait()

    run = await guest.get((await sdk.submit(endless)).id)
    await begun.wait()
    await run.cancel()
    with pytest.raises(RunNotCompleted, match="was cancelled"):
        await run.wait(SECONDS)
    done = await guest.submit(sample.double, 1)
    assert await done.wait(SECONDS) == 2
    with pytest.raises(Conflict, match="already completed"):
        await done.cancel()
    with pytest.raises(NotFound):
        await guest.get("0" * 32)
    with pytest.raises(NotFound):
        await guest.submit("nothing-such")


async def test_many_wait_at_the_owner_at_once(guest: Windlass) -> None:
    runs = await guest.submit_many(sample.double, range(5))
    assert await asyncio.gather(*(run.wait(SECONDS) for run in runs)) == [0, 2, 4, 6, 8]


async def test_of_a_batch_of_a_guest_with_one_bad_context_nothing_is_accepted(guest: Windlass, sdk: Windlass) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "Job",
        "metadata": {"alias": "numbered"},
        "parameters": {"number": {"type": "integer", "minimum": 1}},
        "steps": [{"name": "say", "run": "true"}],
    }
    assert isinstance(guest._backend, Remote)
    await asyncio.to_thread(guest._backend._client.post, "jobdefs", "apply", body={"definitions": [manifest]})
    events = guest.subscribe(["run.created"])
    with pytest.raises(UserError, match=r"parameters\[1\]: number must be at least 1"):
        await guest.submit_many("numbered", [{"number": 1}, {"number": 0}, {"number": 3}])
    with pytest.raises(UserError, match=r"contexts\[2\]: .*Expected `int`, got `str`"):
        await guest.submit_many(sample.double, [1, 2, "three"])
    with pytest.raises(UserError, match=r"parameters\[1\]: number must be at least 1"):
        await sdk.submit_many("numbered", [{"number": 1}, {"number": 0}])
    with pytest.raises(UserError, match=r"contexts\[1\]: .* as a dict by name, not as a int"):
        await guest.submit_many("numbered", [{"number": 1}, 5])
    run = await guest.submit(sample.double, 4)
    assert (await anext(events))["runId"] == run.id


async def test_code_that_the_owner_cannot_import_is_refused(guest: Windlass) -> None:
    @as_job
    def local() -> None: ...

    with pytest.raises(UserError, match=r"which cannot import tests\.sdk\.test_sharing:") as refused:
        await guest.submit(local)
    told = (
        "move it to the top level of a module, or stop the process that owns the store, so that this one does the work."
    )
    assert str(refused.value).endswith(told)

    async def main() -> None: ...

    main.__module__ = "__main__"
    with pytest.raises(
        UserError, match="from the script into a module that the script imports and use `process`, or stop"
    ):
        await guest.submit(as_job(isolation="thread")(main))
    with pytest.raises(UserError, match="another process owns the store"):
        await guest.submit(sample.InlinePrice, sample.Order("tea"))


async def test_an_owner_that_leaves_is_told_of(url: str) -> None:
    owner = Windlass(url, queues=["none"])
    await owner.__aenter__()
    async with Windlass(url) as guest:
        run = await guest.submit(sample.double, 1)
        waiting = asyncio.create_task(run.wait(SECONDS))
        events = guest.subscribe()
        await events.begun
        await owner.__aexit__(None, None, None)
        with pytest.raises(Unavailable):
            await waiting
        with pytest.raises(Unavailable):
            await run.state()


@pytest.mark.promise("H07")
async def test_what_was_accepted_is_run_by_the_next_application(url: str) -> None:
    ran: list[str] = []

    def make() -> Any:
        @as_job(name="noted")
        async def noted(text: str) -> None:
            ran.append(text)

        return noted

    async with Windlass(url, queues=["none"]) as app:
        runs = await app.submit_many(make(), ["a", "b"])
    async with Windlass(url, workers=1, jobs=[make()]) as app:
        for run in runs:
            await (await app.get(run.id)).wait(SECONDS)
    assert ran == ["a", "b"]


@pytest.mark.parametrize(
    ("job", "context", "result"),
    [
        (sample.triple, 2, ("result", 6)),
        (sample.double, 2, ("result", 4)),
        (sample.Price, sample.Order("tea"), ("price", 3)),
    ],
)
async def test_code_that_can_be_imported_needs_no_register(
    url: str, job: Any, context: Any, result: tuple[str, int]
) -> None:
    async with Windlass(url, queues=["none"]) as app:
        run = await app.submit(job, context)
    async with Windlass(url) as app:
        found = await (await app.get(run.id)).wait(SECONDS)
    assert result in found.items()


@pytest.mark.parametrize(
    ("url", "options", "sentence"),
    [
        ("https://windlass.example", {}, "a server on the network lands later"),
        ("postgresql://x", {}, "names no database"),
        ("jobs.db", {}, "has no scheme: write `sqlite:///FILE`"),
        ("memory://", {"workers": -1}, "it is -1"),
        ("memory://", {"settings": {"leese": "15s"}}, 'There is no setting "leese"; did you mean "lease"?'),
        ("memory://", {"settings": {"lease": "soon"}}, "expected a duration"),
    ],
)
async def test_a_wrong_opening_is_told_in_one_sentence(url: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        async with Windlass(url, **options):
            pass
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_guest_reads_figures_and_health_of_the_owner(guest: Windlass) -> None:
    await (await guest.submit(sample.double, 1)).wait(SECONDS)
    assert (await guest.statistics(job="double", since=60, until=0))["counts"] == {"completed": 1}
    assert (await guest.statistics(labels={"team": "data"}))["runs"] == 0
    assert (await guest.health())["status"] == "ok"


@pytest.mark.promise("K06")
async def test_without_room_on_the_disk_nothing_is_submitted(guest: Windlass, sdk: Windlass) -> None:
    assert isinstance(sdk._backend, Embedded)
    room = sdk._backend._engine.room
    room.look, room._until = (lambda folder: Disk(str(folder), 1, 1 << 40)), 0.0
    for app in (sdk, guest):
        with pytest.raises(NoRoom, match="nothing new is taken until there is room"):
            await app.submit(sample.Price, sample.Order("tea", 2))
    assert (await app.health())["status"] == "down"
    room.look, room._until = look_at, 0.0
    await (await guest.submit(sample.Price, sample.Order("tea", 2))).wait(SECONDS)


async def test_the_files_of_an_application_lie_beside_its_database_and_no_others_are_touched(
    sdk: Windlass, tmp_path: Path
) -> None:
    assert isinstance(sdk._backend, Embedded)
    engine = sdk._backend._engine
    assert engine.settings.home == tmp_path / "jobs.db.files"
    others = tmp_path / "home" / "artifacts" / "0199a2f0-0000-7000-8000-000000000001"
    others.mkdir(parents=True)
    (others / "file").write_text("of another store")
    await repair(engine)
    assert (others / "file").exists()
