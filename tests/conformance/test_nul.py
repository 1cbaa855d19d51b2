"""U+0000 in texts: what every store refuses, replaces and keeps alike."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.postgres import PostgresServer
from windlass import Job, NotFound, Progress, RunNotCompleted, UserError, Windlass, job
from windlass.sdk.embedded import Embedded
from windlass.store.transaction import Transaction

SECONDS = 30.0


@pytest.fixture(params=["sqlite", "memory", "postgres"])
async def app(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Windlass]:
    """Yield an application on each kind of store."""
    request.node.user_properties.append(("store", request.param))
    monkeypatch.setenv("WINDLASS_HOME", str(tmp_path / "home"))
    tmp_path.chmod(0o700)
    async with AsyncExitStack() as stack:
        url = {"sqlite": f"sqlite:///{tmp_path}/jobs.db", "memory": "memory://"}.get(request.param)
        if url is None:
            server: PostgresServer = request.getfixturevalue("postgres")
            name = await server.made()
            stack.push_async_callback(server.drop, name)
            url = server.url(name)
        yield await stack.enter_async_context(Windlass(url, workers=2))


@job
def echo(text: str) -> dict[str, str]:
    """Give back what is given, by a name that has it too."""
    return {"a\0": text}


class Fails(Job[str, None]):
    """Say what it was given, and fail with it."""

    async def execute(self, context: str, progress: Progress) -> None:
        """Fail."""
        await progress(50, context)
        raise ValueError(context)


@pytest.mark.parametrize(
    "options",
    [{"labels": {"a\0": "b"}}, {"labels": {"a": "\0"}}, {"note": "a\0b"}, {"correlation_id": "\0"}, {"key": "\0"}],
    ids=str,
)
async def test_names_labels_and_notes_with_it_are_refused(app: Windlass, options: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"U\+0000|printable characters"):
        await app.submit(echo, "x", **options)
    with pytest.raises(UserError, match=r"U\+0000|printable characters|takes none"):
        await app.submit_many(echo, ["x", "y"], **options)


async def test_values_keep_it(app: Windlass) -> None:
    assert await (await app.submit(echo, "x\0y")).wait(SECONDS) == {"a\0": "x\0y"}


async def test_what_a_step_says_is_kept(app: Windlass) -> None:
    run = await app.submit(Fails, "no\0pe")
    with pytest.raises(RunNotCompleted, match=r"failed: ValueError: no.pe"):
        await run.wait(SECONDS)


async def test_what_is_looked_for_is_not_there(app: Windlass) -> None:
    with pytest.raises((NotFound, UserError)):
        await app.submit("a\0b")
    with pytest.raises((NotFound, UserError)):
        await app.get("01a20\0")


async def test_the_data_of_events_keeps_it(app: Windlass) -> None:
    events = app.subscribe(["deploy.*"])
    await events.begun
    await app.send_event("deploy.done", {"x\0": "\0"})
    assert (await anext(events))["data"] == {"x\0": "\0"}
    await events.aclose()
    with pytest.raises(UserError):
        await app.send_event("deploy.done", {}, source="a\0")


async def test_what_slips_through_is_refused_by_the_store(postgres_url: str, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    async with Windlass(postgres_url, workers=0, home=tmp_path) as app:
        backend = app._backend
        assert isinstance(backend, Embedded)

        def put(tx: Transaction) -> None:
            tx.cursor.execute("INSERT INTO store_info (key, value) VALUES (?, ?)", ("a\0", ""))

        for way in (backend._engine.store.run, backend._engine.store.read):
            with pytest.raises(UserError, match=r"U\+0000"):
                await way(put)
