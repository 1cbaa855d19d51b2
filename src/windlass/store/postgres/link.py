"""One connection to PostgreSQL, as a lane works with it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import asyncpg
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import greenlet_spawn

from windlass.errors import Unavailable
from windlass.store.postgres.cursor import PostgresCursor
from windlass.store.postgres.troubles import passes

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from windlass.store.place import ServerPlace

#: Seconds for a connection to come about, and for one statement as its caller sees it.
_CONNECT: Final = 10.0
_ANSWER: Final = 90.0
#: Seconds for which a connection is kept that nobody needs, unless a process is told otherwise.
LINGER: Final = 60.0
#: Milliseconds as the server counts them: of a statement, of the wait for a lock, of a transaction that does nothing.
_LIMITS: Final = {
    "statement_timeout": "60000",
    "lock_timeout": "20000",
    # Whoever is cut off in the middle of a unit holds up all others until then.
    "idle_in_transaction_session_timeout": "10000",
    # Tables that were small when the planner last looked are not: whatever has an index goes by it. And what it guesses
    # then is no reason to compile anything.
    "enable_seqscan": "off",
    "jit": "off",
}


def _number(text: str) -> int | float:
    return int(text) if text.lstrip("-").isdigit() else float(text)


@dataclass(slots=True)
class Link:
    """A connection: raw, through SQLAlchemy Core, and by a cursor for statements by hand."""

    raw: Any
    core: Connection
    cursor: PostgresCursor

    @property
    def lost(self) -> bool:
        """Say whether it is known to be gone."""
        return bool(self.raw.is_closed())

    def drop(self) -> None:
        """Let go of it at once, whatever runs on it."""
        with suppress(Exception):
            self.raw.terminate()

    async def close(self) -> None:
        """Say good-bye to the server."""
        with suppress(Exception):
            await self.raw.close(timeout=2)


class Links:
    """Makes connections to one database; used from any thread, each link by the thread that asked for it."""

    def __init__(self, place: ServerPlace) -> None:
        """Connect to `place` when asked to; nothing is opened yet."""
        self.place = place
        #: Seconds for a connection to come about, and for an answer on those that are made from now on.
        self.connecting, self.patience = _CONNECT, _ANSWER
        #: Seconds after which a connection that nobody needs is closed.
        self.linger = LINGER
        #: Whether a connection has ever come about.
        self.reached = False
        #: Of several servers the one that let us in last.
        self._last = 0
        #: What begins each transaction: where connections are shared nothing may stay set behind it.
        self.begin = ""
        self.pooled = place.pooled
        if self.pooled:
            self.begin = "".join(f"; SET LOCAL {name} = {value}" for name, value in _LIMITS.items())
            self.begin += "; SET LOCAL synchronous_commit = on"
        self._engine = self._make_engine()

    def _make_engine(self) -> Engine:
        arguments: dict[str, Any] = {"async_creator_fn": self._begun}
        if self.pooled:
            arguments |= {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str}
        return create_engine(
            "postgresql+asyncpg://", connect_args=arguments, poolclass=NullPool, isolation_level="AUTOCOMMIT"
        )

    async def dial(self, dsn: str | None = None, *, endless: bool = False, bare: bool = False) -> Any:
        """Return a raw connection; where it is `endless` an answer may take any time. Raises what the driver raises.

        A `bare` one has none of our settings.
        """
        settings = {"application_name": self.place.application}
        if not self.pooled and not bare:
            settings |= _LIMITS | {"synchronous_commit": "on"}
        here = dsn is None or dsn == self.place.dsn
        addresses: tuple[tuple[str | None, int | None], ...] = (here and self.place.addresses) or ((None, None),)
        for turn in range(len(addresses)):
            at = (self._last + turn) % len(addresses)
            try:
                raw = await asyncpg.connect(
                    dsn or self.place.dsn,
                    host=addresses[at][0],
                    port=addresses[at][1],
                    timeout=self.place.connecting or self.connecting / len(addresses),
                    command_timeout=None if endless else self.patience,
                    statement_cache_size=0 if self.pooled else 100,
                    server_settings=settings,
                )
            except Exception as error:
                if turn == len(addresses) - 1 or not passes(error):
                    raise
            else:
                break
        if here:  # it is asked first from now on: of those before it each may take its time to be silent
            self._last = at
        self.reached = True
        return raw

    async def link(self, *, writes: bool) -> Link:
        """Return a new connection, with no transaction on it. Raises what the driver raises.

        What `writes` asks by keys, again and again: making a plan anew for each array would take longer than the work.
        """
        core: Connection = await greenlet_spawn(self._engine.connect)
        raw = core.connection.driver_connection
        if raw is None:
            raise Unavailable("The store is closed.")
        core.detach()  # its end is ours to bring about
        await raw.execute("ROLLBACK")
        if writes and not self.pooled:
            await raw.execute("SET plan_cache_mode = force_generic_plan")
        return Link(raw, core, PostgresCursor(raw, named=not self.pooled))

    async def _begun(self, *_: object, **__: object) -> Any:
        """Return a connection in a transaction, so that whatever SQLAlchemy asks first is asked of one process."""
        raw = await self.dial()
        await raw.execute("BEGIN")
        # Sums of BIGINT are NUMERIC there; nothing else of ours is.
        await raw.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=_number, format="text")
        return raw
