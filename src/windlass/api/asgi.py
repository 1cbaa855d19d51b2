"""The route table as an ASGI application: bodies read within their limits, answers and streams sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from windlass.api.dispatch import admit, encoded, respond, too_large
from windlass.api.message import EVENT_STREAM, Answer, Principal, Request, Stream
from windlass.api.problem import problem
from windlass.api.sse import FAREWELL
from windlass.api.table import RouteTable

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Answers hold what only their caller may see, and are never anything else than what they say they are.
_HEADERS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
#: Name under which a server may offer, in a scope's extensions, to break a connection off.
BREAK_OFF: Final = "windlass.break_off"
#: Seconds that a caller has to take the last words of a stream.
_PATIENCE: Final = 1.0


class Api:
    """Serves an engine over ASGI."""

    def __init__(self, table: RouteTable, engine: Any, principal_of: Callable[[Scope], Principal]) -> None:
        """Serve the routes of `table`; `principal_of` says who a connection belongs to."""
        self._table = table
        self._engine = engine
        self._principal_of = principal_of
        self._ending = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request; other protocols than HTTP are not spoken."""
        if scope["type"] != "http":
            raise RuntimeError(f"there is no {scope['type']} here")
        request = Request(
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),
            query_string=scope["query_string"].decode("latin-1"),
            headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
            principal=self._principal_of(scope),
        )
        found = admit(self._table, request, has_body=_has_body(request))
        if isinstance(found, Answer):
            await _send(found, send)
            return
        body = await _body(request, found.limit, receive)
        if isinstance(body, Answer):
            await _send(body, send)
            return
        answer = await respond(self._engine, found, replace(request, body=body))
        if isinstance(answer, Answer):
            await _send(answer, send)
        else:
            await self._pump(answer, receive, send, scope.get("extensions", {}).get(BREAK_OFF))

    def end_streams(self) -> None:
        """End all streams, for they would never end by themselves; those of events say that the server goes away."""
        self._ending.set()

    async def _pump(self, stream: Stream, receive: Receive, send: Send, break_off: Callable[[], None] | None) -> None:
        """Send a stream until it ends, its caller goes away, or the server does."""
        await send(_start(stream, []))
        sending = asyncio.create_task(_send_chunks(stream, send))
        gone = asyncio.create_task(_wait_until_gone(receive))
        ending = asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait({sending, gone, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not sending.done() and not gone.done():
                sending.cancel()
                await asyncio.wait({sending})
                await _say_goodbye(stream, send, gone, break_off)
        finally:
            for task in (sending, gone, ending):
                task.cancel()
            await asyncio.wait({sending, gone, ending})
            close = getattr(stream.chunks, "aclose", None)
            if close is not None:
                await close()
        if not sending.cancelled():
            with suppress(OSError):
                sending.result()


async def _body(request: Request, limit: int, receive: Receive) -> bytes | Answer:
    """Read the body as far as `limit`, or return the refusal of it."""
    if not _has_body(request):
        return b""
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        return too_large(int(declared), limit)
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return problem(400, "The body ended early.")
        body += message.get("body", b"")
        if len(body) > limit:
            return too_large(len(body), limit)
        if not message.get("more_body"):
            return bytes(body)


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


async def _send(answer: Answer, send: Send) -> None:
    body = encoded(answer)
    length = [(b"content-length", str(len(body)).encode())]
    await send(_start(answer, length))
    await send({"type": "http.response.body", "body": body})


async def _send_chunks(stream: Stream, send: Send) -> None:
    async for chunk in stream.chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _say_goodbye(
    stream: Stream, send: Send, gone: asyncio.Future[None], break_off: Callable[[], None] | None
) -> None:
    """End a stream before its time: events with a last one that says so, anything else so that it shows."""
    if stream.media == EVENT_STREAM:
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await send({"type": "http.response.body", "body": FAREWELL})
            return
    if break_off is not None:
        break_off()
        await gone


def _start(answer: Answer | Stream, more: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    own = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    media = [] if answer.status == 204 else [(b"content-type", answer.media.encode("latin-1"))]  # noqa: PLR2004 - HTTP
    return {"type": "http.response.start", "status": answer.status, "headers": [*media, *_HEADERS, *own, *more]}


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
