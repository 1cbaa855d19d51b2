"""Server-sent events: a stream that is kept alive while nothing happens, and tells how it broke."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import orjson

from windlass.api.problem import problem_of, unexpected
from windlass.errors import ServerGone, WindlassError

log: Final = logging.getLogger("windlass.api")
#: Seconds of silence after which a comment shows that the stream lives.
KEEP_ALIVE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Sent:
    """One event to send."""

    type: str
    data: Any
    #: What names it as `Last-Event-ID`; None where a stream cannot be taken up again behind it.
    id: str | None = None

    def encode(self) -> bytes:
        """Return it as it stands in the stream."""
        name = b"" if self.id is None else b"id: " + self.id.encode() + b"\n"
        return name + b"event: " + self.type.encode() + b"\ndata: " + orjson.dumps(self.data) + b"\n\n"


@dataclass(frozen=True, slots=True)
class Together:
    """Events that were there at once and are sent so: each by itself costs more than all that is in it."""

    events: Sequence[Sent]

    def encode(self) -> bytes:
        """Return them as they stand in the stream."""
        return b"".join(event.encode() for event in self.events)


#: The last event of a stream whose server goes away.
FAREWELL: Final = Sent("problem", problem_of(ServerGone("The server has ended.")).body).encode()


async def server_sent(
    events: AsyncIterator[Sent | Together], *, keep_alive: float = KEEP_ALIVE
) -> AsyncIterator[bytes]:
    """Yield events as bytes, and a comment after each `keep_alive` seconds of silence.

    An error becomes a last event of type `problem`, whose data is the problem document.
    """
    yield b": begin\n\n"
    upcoming: asyncio.Future[Sent | Together] | None = None
    try:
        while True:
            if upcoming is None:
                upcoming = asyncio.ensure_future(anext(events))
            done, _ = await asyncio.wait({upcoming}, timeout=keep_alive)
            if not done:
                yield b": alive\n\n"
                continue
            try:
                event = upcoming.result()
            except StopAsyncIteration:
                return
            upcoming = None
            yield event.encode()
    except WindlassError as error:
        yield Sent("problem", problem_of(error).body).encode()
    except Exception:
        error_id = uuid4().hex
        log.exception("error %s in a stream", error_id)
        yield Sent("problem", unexpected(error_id).body).encode()
    finally:
        if upcoming is not None:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()
