"""The owner's socket: real connections, who may use it, limits, and streams that end."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from windlass.api.message import Answer, Request, Stream
from windlass.api.socket import SocketServer, refusal
from windlass.api.sse import Sent, server_sent
from windlass.api.table import Body, Route, RouteTable
from windlass.client.client import Client
from windlass.client.unix import UnixTransport
from windlass.errors import LimitExceeded, NotFound, Refused, ServerGone, Unavailable
from windlass.supervisor import procfs
from windlass.supervisor.contract import SupervisorLost
from windlass.supervisor.procfs import Process


class Engine:
    """Counts streams that were let go of."""

    #: The store is here.
    store = SimpleNamespace(moved=None)

    def __init__(self) -> None:
        """Begin with none."""
        self.ended = asyncio.Event()
        self.waiting = asyncio.Event()


async def echo(_: Engine, request: Request) -> Answer:
    return Answer(body={"who": request.principal.name, "body": request.data, "job": request.params.get("job")})


async def missing(_: Engine, __: Request) -> Answer:
    raise NotFound("There is no such thing.")


async def endless(engine: Engine, _: Request) -> Stream:
    async def events() -> AsyncIterator[Sent]:
        try:
            yield Sent("first", {}, "1")
            engine.waiting.set()
            await asyncio.Event().wait()
        finally:
            engine.ended.set()

    return Stream(chunks=server_sent(events()))


async def endless_text(engine: Engine, _: Request) -> Stream:
    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            engine.waiting.set()
            await asyncio.Event().wait()
        finally:
            engine.ended.set()

    return Stream(chunks=chunks(), media="text/plain")


TABLE = RouteTable(
    [
        Route(method="GET", path="/api/v1/jobs/{job}", permission="view", handler=echo, summary="s"),
        Route(
            method="POST",
            path="/api/v1/jobs",
            permission="edit",
            handler=echo,
            summary="s",
            body=Body(limit=70_000),
            changes=True,
        ),
        Route(method="GET", path="/api/v1/missing", permission="view", handler=missing, summary="s"),
        Route(method="GET", path="/api/v1/events", permission="view", handler=endless, summary="s"),
        Route(method="GET", path="/api/v1/text", permission="view", handler=endless_text, summary="s"),
    ]
)


@pytest.fixture
async def engine() -> Engine:
    return Engine()


@pytest.fixture
async def server(engine: Engine, tmp_path: Path) -> AsyncIterator[SocketServer]:
    one = SocketServer(TABLE, engine, tmp_path / "s", lambda _: False)
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
def client(server: SocketServer, tmp_path: Path) -> Client:
    assert server
    return Client(UnixTransport(tmp_path / "s", patience=20))


async def test_a_request_and_its_answer(client: Client) -> None:
    assert (await asyncio.to_thread(client.get, "jobs", "a/b ü"))["job"] == "a/b ü"
    answer = await asyncio.to_thread(client.post, "jobs", body={"text": "ü" * 30_000})
    assert answer["body"]["text"] == "ü" * 30_000


async def test_errors_come_back_as_errors(client: Client) -> None:
    with pytest.raises(NotFound, match="no such thing"):
        await asyncio.to_thread(client.get, "missing")
    with pytest.raises(LimitExceeded, match="70,000"):
        await asyncio.to_thread(client.post, "jobs", body={"text": "x" * 100_000})


@pytest.mark.usefixtures("server")
async def test_a_body_without_declared_length_is_limited_too(tmp_path: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
    writer.write(
        b"POST /api/v1/jobs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    for _ in range(80):
        writer.write(b"400\r\n" + b"x" * 0x400 + b"\r\n")
    answer = await reader.readuntil(b"\r\n")
    assert b"413" in answer
    writer.close()


@pytest.mark.usefixtures("server")
async def test_only_the_owner_may_open_the_socket(tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600


class Peer:
    """The other end of a socket, as a kernel before Linux 6.5 tells of it."""

    def __init__(self, uid: int, pid: int) -> None:
        """Be process `pid` of the user `uid`."""
        self.credentials = struct.pack("3i", pid, uid, 0)

    def getsockopt(self, _: int, option: int, __: int = 0) -> bytes:
        if option != socket.SO_PEERCRED:
            raise OSError(errno.ENOPROTOOPT, "not available")
        return self.credentials


def told(peer: Any, *, step: bool = False) -> str:
    return str(refusal(peer, lambda _: step))


def test_another_user_is_refused_even_where_the_file_lets_them() -> None:
    assert refusal(Peer(os.getuid(), os.getpid()), lambda _: False) is None
    assert told(Peer(os.getuid() + 1, os.getpid())) == "This store belongs to another user."


@pytest.mark.parametrize("old_kernel", [False, True])
@pytest.mark.parametrize("reaped", [False, True])
def test_a_process_that_has_ended_is_refused(tmp_path: Path, *, old_kernel: bool, reaped: bool) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        pid = os.fork()
        if pid == 0:
            socket.socket(socket.AF_UNIX).connect(str(tmp_path / "s"))
            os._exit(0)
        os.waitid(os.P_PID, pid, os.WEXITED | (0 if reaped else os.WNOWAIT))
        peer, _ = listening.accept()
        with peer:
            assert "has ended" in told(Peer(os.getuid(), pid) if old_kernel else peer)
    if not reaped:
        os.waitpid(pid, 0)


def test_a_number_that_is_given_again_meanwhile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    starts = iter((1, 2))
    monkeypatch.setattr(
        procfs, "process", lambda pid: Process(pid=pid, state="S", parent=1, session=1, start=next(starts))
    )
    assert "has ended" in told(Peer(os.getuid(), 4))


async def test_while_nobody_can_tell_the_answer_is_to_try_again(engine: Engine, tmp_path: Path) -> None:
    def unknown(_: int) -> bool:
        raise SupervisorLost("clean-up is under way")

    server = SocketServer(TABLE, engine, tmp_path / "s", unknown)
    await server.start()
    client = Client(UnixTransport(tmp_path / "s", patience=20))
    with pytest.raises(Unavailable, match="clean-up is under way"):
        await asyncio.to_thread(client.get, "jobs", "x")
    await server.stop()


async def test_a_step_is_refused_with_the_reason(engine: Engine, tmp_path: Path) -> None:
    asked: list[int] = []

    def is_step(pid: int) -> bool:
        asked.append(pid)
        return True

    server = SocketServer(TABLE, engine, tmp_path / "s", is_step)
    await server.start()
    client = Client(UnixTransport(tmp_path / "s", patience=20))
    with pytest.raises(Refused, match="A step may not"):
        await asyncio.to_thread(client.get, "jobs", "x")
    assert asked == [os.getpid()]
    await server.stop()


async def test_a_dead_owners_file_is_replaced_and_stopping_removes_it(engine: Engine, tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "s"))
    left.close()
    server = SocketServer(TABLE, engine, tmp_path / "s", lambda _: False)
    await server.start()
    await server.stop()
    await server.stop()
    assert not (tmp_path / "s").exists()


async def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    client = Client(UnixTransport(tmp_path / "nothing"))
    with pytest.raises(ServerGone, match="does not answer"):
        client.get("jobs", "x")


async def test_letting_go_of_a_stream_ends_what_stands_behind_it(engine: Engine, client: Client) -> None:
    def first() -> Any:
        stream = client.events("events")
        event = next(stream)
        stream.close()
        return event

    assert (await asyncio.to_thread(first)).id == "1"
    async with asyncio.timeout(20):
        await engine.ended.wait()


@pytest.mark.parametrize(("path", "told"), [("events", "has ended"), ("text", "broke")])
async def test_a_stream_ends_visibly_when_the_server_stops(
    engine: Engine, server: SocketServer, client: Client, caplog: pytest.LogCaptureFixture, path: str, told: str
) -> None:
    def everything() -> list[Any]:
        return list(client.events(path) if path == "events" else client.read(path))

    reading = asyncio.create_task(asyncio.to_thread(everything))
    await engine.waiting.wait()
    await server.stop()
    assert engine.ended.is_set()
    with pytest.raises(ServerGone, match=told):
        await reading
    assert caplog.records == []


async def test_a_hundred_callers_at_once(client: Client) -> None:
    answers = await asyncio.gather(*(asyncio.to_thread(client.get, "jobs", str(number)) for number in range(100)))
    assert [answer["job"] for answer in answers] == [str(number) for number in range(100)]
