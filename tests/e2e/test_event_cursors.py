"""A reader of events goes on behind the cursor of any of them, in another process too, and misses no late commit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import pytest

import windlass as sdk
from tests.e2e.stage import Socket, serve
from tests.fixtures.postgres import PostgresServer, in_a_loop
from tests.fixtures.program import Windlass
from windlass.errors import UserError

pytestmark = pytest.mark.promise("H08")
_LATE: Final = "INSERT INTO events (types, at, data) VALUES ($1, 0, $2) RETURNING seq"
_SAID: Final = '{"project":"default","source":"","data":{}}'
SECONDS: Final = 20.0


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """Yield the name of a database with an empty store in it."""
    name = in_a_loop(postgres.made())
    yield name
    in_a_loop(postgres.drop(name))


@pytest.fixture
def there(windlass: Windlass, postgres: PostgresServer, database: str) -> Windlass:
    """Return the command line with a store on PostgreSQL."""
    windlass.env["WINDLASS_DATABASE_URL"] = postgres.url(database)
    return windlass


def _read(api: Socket, query: str, **headers: str) -> list[dict[str, Any]]:
    """Return the stored events of a stream that ends with the newest, each with the id that it came with."""
    status, content = api.raw("GET", f"events?follow=false&{query}", None, **headers)
    assert status == 200, content
    found = []
    for block in content.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            event = json.loads(fields["data"])
            assert event["cursor"] == fields["id"]
            found.append(event)
    return found


def _types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_http_and_commands_go_on_behind_any_event(
    windlass: Windlass, home: Path, store: str, request: pytest.FixtureRequest
) -> None:
    if store == "postgres":
        request.getfixturevalue("there")
    serve(windlass)
    for number in range(4):
        assert windlass("event", "send", f"x.{number}").code == 0
    api = Socket(home, next(home.glob("*.sock")).name)
    whole = _read(api, "after=0")
    assert _types(whole) == ["x.0", "x.1", "x.2", "x.3"]
    for number, event in enumerate(whole):
        rest = _types(whole[number + 1 :])
        assert _types(_read(api, f"after={event['cursor']}")) == rest
        assert _types(_read(api, "", **{"Last-Event-ID": event["cursor"]})) == rest
        assert _types(windlass("event", "list", "--json", "--after", event["cursor"]).json()) == rest
    first = windlass("event", "list", "--json", "--after", "0", "--limit", "1").json()
    assert _types(first) == ["x.0"]
    tail = windlass.start("event", "tail", "--json", "--after", first[0]["cursor"])
    assert tail.stdout is not None
    assert [json.loads(tail.stdout.readline())["type"] for _ in range(3)] == ["x.1", "x.2", "x.3"]
    refused = windlass("event", "tail", "--after", "x!")
    assert refused.code == 2
    assert refused.stderr.endswith(
        '"x!" is no cursor of this store: give the `cursor` of an event, or 0 for all events.\n'
    )
    assert windlass("event", "tail", "--after", "0", "--last", "3").code == 2


async def test_what_a_foreign_transaction_commits_late_is_read_behind_a_later_event(
    there: Windlass, postgres: PostgresServer, database: str, home: Path
) -> None:
    serve(there)
    api = Socket(home, next(home.glob("*.sock")).name)
    slow = await postgres.connect(database)
    held = slow.transaction()
    await held.start()
    low = await slow.fetchval(_LATE, "x.late", _SAID)
    assert there("event", "send", "x.soon").code == 0
    (soon,) = _read(api, "after=0")
    assert (soon["type"], soon["seq"] >> 20 > low) == ("x.soon", True)
    await held.commit()
    await slow.close()
    assert _types(_read(api, f"after={soon['cursor']}")) == ["x.late"]
    assert _types(there("event", "list", "--json", "--after", soon["cursor"]).json()) == ["x.late"]
    for refused in (api.raw("GET", f"events?after={soon['seq']}"), api.raw("GET", "events?after=1:2:x")):
        status, content = refused
        assert (status, "give the `cursor` of" in json.loads(content)["detail"]) == (422, True)


async def test_an_application_goes_on_behind_a_cursor_and_hears_what_was_committed_late(
    postgres: PostgresServer, database: str, tmp_path: Path
) -> None:
    async with sdk.Windlass(postgres.url(database), workers=0, home=tmp_path) as app:
        slow = await postgres.connect(database)
        held = slow.transaction()
        await held.start()
        await slow.fetchval(_LATE, "x.late", _SAID)
        async with aclosing(app.subscribe("x.*")) as events:  # type: ignore[type-var]
            await app.send_event("x.soon")
            soon = await anext(events)
        await held.commit()
        await slow.close()
    async with sdk.Windlass(postgres.url(database), workers=0, home=tmp_path) as app:
        async with aclosing(app.subscribe("x.*", after=soon["cursor"])) as events:  # type: ignore[type-var]
            assert (await anext(events))["type"] == "x.late"
        with pytest.raises(UserError, match="is the `seq` of an event"):
            await anext(app.subscribe(after=str(soon["seq"])))
        with pytest.raises(UserError, match=r"after is the `cursor` of an event, a text, or \"0\" for all events"):
            app.subscribe(after=soon["seq"])
