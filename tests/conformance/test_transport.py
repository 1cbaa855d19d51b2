"""What every transport of the client keeps, whether a socket or the same process stands behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from windlass.api.message import Answer, Request, Stream, local_admin
from windlass.api.query import Query
from windlass.api.socket import SocketServer
from windlass.api.sse import Sent, server_sent
from windlass.api.table import Body, Route, RouteTable
from windlass.cli.inprocess import LocalTransport, LoopThread, entered
from windlass.client.client import Client
from windlass.client.unix import UnixTransport
from windlass.errors import Conflict, LimitExceeded, NotFound, Unavailable, Unexpected, UserError


class Engine:
    """Remembers streams that were let go of."""

    #: The store is here.
    store = SimpleNamespace(moved=None)

    def __init__(self) -> None:
        """Begin with none."""
        self.closed = asyncio.Event()


async def echo(_: Engine, request: Request) -> Answer:
    kept = {name: request.headers[name] for name in ("idempotency-key",) if name in request.headers}
    return Answer(
        status=201, body={"params": request.params, "query": request.query, "data": request.data, "headers": kept}
    )


async def fail(_: Engine, request: Request) -> Answer:
    if request.params["kind"] == "conflict":
        raise Conflict("It runs.")
    raise ZeroDivisionError


async def nothing(_: Engine, __: Request) -> Answer:
    return Answer(status=204)


async def numbers(engine: Engine, request: Request) -> Stream:
    begin = int(request.headers.get("last-event-id", "0"))

    async def events() -> AsyncIterator[Sent]:
        try:
            for number in range(begin + 1, 4):
                yield Sent("number", {"text": f"ü\n{number}"}, str(number))
            if request.query.get("break"):
                raise Unavailable("The store is closed.")
            if request.query.get("endless"):
                await asyncio.Event().wait()
        finally:
            engine.closed.set()

    return Stream(chunks=server_sent(events()))


async def items(_: Engine, request: Request) -> Answer:
    begin = int(request.query.get("cursor", "0"))
    end = min(begin + request.query["limit"], 450)
    return Answer(body={"items": [{"n": n} for n in range(begin, end)], "next": str(end) if end < 450 else None})


async def is_closed(engine: Engine, _: Request) -> Answer:
    await asyncio.wait_for(engine.closed.wait(), 20)
    return Answer(body=True)


def route(method: Any, path: str, handler: Any, **more: Any) -> Route:
    return Route(
        method=method, path=f"/api/v1/{path}", permission="view", handler=handler, summary="s", changes=False, **more
    )


PAGE = (Query("limit", "l", "integer", default=100, highest=200), Query("cursor", "c"))
TABLE = RouteTable(
    [
        route(
            "POST", "echo/{name}", echo, query=(Query("tag", "t", "texts"), Query("yes", "y", "boolean")), body=Body()
        ),
        route("GET", "fail/{kind}", fail),
        route("DELETE", "nothing", nothing),
        route("GET", "numbers", numbers, query=(Query("break", "b", "boolean"), Query("endless", "e", "boolean"))),
        route("GET", "items", items, query=PAGE),
        route("GET", "closed", is_closed),
    ]
)


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[Engine]:
    engine = Engine()
    server = SocketServer(TABLE, engine, path, lambda _: False)
    await server.start()
    yield engine
    await server.stop()


@asynccontextmanager
async def alone() -> AsyncIterator[Engine]:
    yield Engine()


@pytest.fixture(params=["socket", "process"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Client]:
    loop = LoopThread()
    manager = serving(tmp_path / "s") if request.param == "socket" else alone()
    with entered(loop, manager) as engine:
        transport = UnixTransport(tmp_path / "s")
        local = LocalTransport(loop, TABLE, engine, local_admin("me"))
        with Client(transport if request.param == "socket" else local) as one:
            yield one
    loop.close()


def test_everything_of_a_request_arrives(client: Client) -> None:
    answer = client.call(
        "POST",
        ("echo", "a/b ü%2F"),
        query={"tag": ["x y", "z"], "yes": True, "none": None},
        body={"text": "ü" * 1000, "n": 1},
        headers={"idempotency-key": "k"},
    )
    assert answer == {
        "params": {"name": "a/b ü%2F"},
        "query": {"tag": ["x y", "z"], "yes": True},
        "data": {"text": "ü" * 1000, "n": 1},
        "headers": {"idempotency-key": "k"},
    }


def test_errors_are_raised_as_they_are(client: Client) -> None:
    with pytest.raises(Conflict, match="It runs"):
        client.get("fail", "conflict")
    with pytest.raises(Unexpected, match="error"):
        client.get("fail", "unforeseen")
    with pytest.raises(NotFound, match="no route"):
        client.get("elsewhere")
    with pytest.raises(UserError, match="does not take DELETE"):
        client.delete("items")
    with pytest.raises(UserError, match='did you mean "limit"'):
        client.get("items", limt=1)
    with pytest.raises(LimitExceeded):
        client.post("echo", "a", body={"text": "x" * 2_000_000})


def test_an_answer_without_a_body_is_none(client: Client) -> None:
    assert client.delete("nothing") is None


def test_pages_are_joined_and_bounded(client: Client) -> None:
    assert [item["n"] for item in client.pages("items")] == list(range(450))
    assert [item["n"] for item in client.pages("items", most=205)] == list(range(205))
    assert list(client.pages("items", most=0)) == []


def test_streams_can_be_taken_up_again(client: Client) -> None:
    assert [event.json()["text"] for event in client.events("numbers")] == ["ü\n1", "ü\n2", "ü\n3"]
    assert [event.id for event in client.events("numbers", last_event_id="2")] == ["3"]


def test_a_stream_that_breaks_raises_what_it_broke_with(client: Client) -> None:
    stream = client.events("numbers", **{"break": True})
    assert [next(stream).id for _ in range(3)] == ["1", "2", "3"]
    with pytest.raises(Unavailable, match="store is closed"):
        next(stream)


def test_letting_go_of_a_stream_ends_what_stands_behind_it(client: Client) -> None:
    stream = client.events("numbers", endless=True)
    assert next(stream).id == "1"
    stream.close()
    assert client.get("closed") is True
