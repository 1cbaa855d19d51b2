"""A thread that works off units of work on one connection of its own."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy.util import greenlet_spawn

from windlass.clock import Clock
from windlass.errors import Unavailable
from windlass.store.hot_postgres import CLOCK
from windlass.store.postgres.accepting import Accepting
from windlass.store.postgres.fate import TIMELINE, ask_fate
from windlass.store.postgres.line import Line, Waiting
from windlass.store.postgres.link import Link, Links
from windlass.store.postgres.silent import cut_off_silent
from windlass.store.postgres.troubles import (
    LOCKED,
    READ_ONLY,
    REFUSED,
    is_drivers,
    is_lost,
    judged,
    passes,
    refusal,
    sqlstate,
)
from windlass.store.requests import Request, answer
from windlass.store.transaction import MustBeAlone, Transaction

if TYPE_CHECKING:
    from windlass.store.actor import Actor
    from windlass.store.hints import Hints
    from windlass.store.meter import CommitMeter
    from windlass.store.noting import Noting

#: The advisory lock of the store ("WNDL"): shared by units that run beside others, exclusive for those that do not.
STORE_LOCK: Final = 0x574E444C
#: Names the channel of hints, in the database that both sides are connected to.
CHANNEL: Final = "windlass"
#: How often, and for how many seconds, work is tried again that may pass.
_TRIES: Final = 12
_PATIENCE: Final = 15.0
_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 1.0
#: Seconds for which the end of a transaction is looked for whose commit was not answered.
_SEARCH: Final = 30.0
#: Seconds after which a connection is given up on which no transaction even begins, or is undone: it has gone silent.
_BEGUN: Final = 10.0
#: Seconds between two notifications of one lane: what comes meanwhile goes out together.
_QUIET: Final = 0.01

#: What a statement is told in a transaction of which another one failed.
_SPOILT: Final = "25P02"
#: What a lane works off.
Kind = Literal["change", "read", "aside"]

# From left to right: the clock is read when the lock is held, and the number is taken then.
_ENTER: Final = f"SELECT {{lock}}($1), {CLOCK}, pg_current_xact_id()::text, {TIMELINE}"
_ENTER_ALONE: Final = _ENTER.format(lock="pg_advisory_xact_lock")
_ENTER_BESIDE: Final = _ENTER.format(lock="pg_advisory_xact_lock_shared")
_LOOK: Final = f"SELECT {CLOCK}"


class _Again(Exception):
    """Nothing was kept, and the same may succeed at the next try."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Lane:
    """One thread, its event loop and its connection, which is opened when it is needed."""

    def __init__(
        self,
        name: str,
        line: Line,
        links: Links,
        *,
        kind: Kind,
        clock: Clock | None,
        meter: CommitMeter,
        noting: Noting,
        metering: threading.Lock,
        hints: Hints,
        sender: str,
    ) -> None:
        """Work off `line` until it is closed: units that change something, only read, or are by themselves."""
        self._line = line
        self._links = links
        self._kind = kind
        self._clock = clock
        self._meter = meter
        self._noting = noting
        self._metering = metering
        self._hints = hints
        self._sender = sender
        self._link: Link | None = None
        self._told_at = 0.0
        #: When the clock was read for the transaction that is under way.
        self._read_at = 0.0
        self._untold: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        work = {"change": self._change, "read": self._read, "aside": self._do_each}[self._kind]
        try:
            while (group := self._line.take(self._patience())) is not None:
                if group:
                    self._loop.run_until_complete(self._work(work, group))
                elif self._untold:
                    self._loop.run_until_complete(self._tell())
                else:
                    self._loop.run_until_complete(self._hang_up())
            self._told_at = 0.0
            self._loop.run_until_complete(self._tell())
            self._loop.run_until_complete(self._hang_up())
        finally:
            self._loop.close()

    def _patience(self) -> float | None:
        """Return the seconds after which there is something to do without units; None: never."""
        return _QUIET if self._untold else self._links.linger if self._link else None

    async def _work(self, work: Callable[[list[Waiting]], Coroutine[Any, Any, None]], group: list[Waiting]) -> None:
        """Do a group; whatever goes wrong, its callers are answered and the lane goes on."""
        try:
            await work(group)
        except Exception as error:  # noqa: BLE001 - an error that ended this thread would leave every caller waiting
            self._drop()
            for waiting in group:
                waiting.request.error = error
            answer([waiting.request for waiting in group], {})
        finally:
            self._line.done(group)

    async def _read(self, group: list[Waiting]) -> None:
        """Answer each unit before its transaction, which changed nothing, is ended."""
        for waiting in group:
            request = waiting.request
            error = await self._tried(partial(self._look, request))
            request.error = error or request.error
            answer([request], {})
            await self._roll_back()

    async def _do_each(self, group: list[Waiting]) -> None:
        """Do units of one statement, each a transaction of its own; see `store.transaction.by_itself`."""
        for waiting in group:
            request = waiting.request
            error = await self._tried(partial(self._do, request))
            if error is not None:
                request.result, request.error = None, error
            answer([request], {})

    async def _do(self, request: Request) -> None:
        """Do a unit of one statement. Where its answer is lost it is done again, which does no harm."""
        request.result = request.error = None
        try:
            link = await self._linked()
            if self._links.begin:
                await link.raw.execute(f"BEGIN{self._links.begin}")
            await greenlet_spawn(self._call, link, 0, request)
            if self._links.begin:
                await link.raw.execute("COMMIT")
        except Exception as error:
            raise await self._judged(error) from error

    async def _change(self, group: list[Waiting]) -> None:
        """Bring every unit of a group to its end, those that fail undone alone."""
        left = deque([([waiting.request for waiting in group], group[0].alone)])
        while left:
            requests, alone = left.popleft()
            outcome = _Outcome()
            error = await self._tried(partial(self._commit, requests, outcome, group, alone=alone))
            if error is not None:
                for request in requests:
                    request.result, request.error = None, error
            elif outcome.failed is not None and len(requests) > 1:
                # Its transaction is undone, so that those before it run again, and it runs again by itself.
                at = outcome.failed
                parts = [requests[:at], requests[at : at + 1], requests[at + 1 :]]
                if outcome.together:
                    parts = [[request] for request in requests]
                left.extendleft((part, alone) for part in reversed(parts) if part)
                continue
            elif not alone and outcome.failed is not None and _better_alone(requests[0].error):
                left.appendleft((requests, True))
                continue
            names = outcome.hints if error is None and outcome.failed is None else set()
            here = names - {"ready"} if "told" in names and requests[-1].follows else names
            answer(requests, self._hints.listeners(here))

    async def _tried(self, attempt: Callable[[], Coroutine[Any, Any, None]]) -> Exception | None:
        """Make `attempt` until it succeeds or nothing speaks for another; return what to say then."""
        end = time.monotonic() + _PATIENCE
        pause = _FIRST_PAUSE
        for number in range(1, _TRIES + 1):
            try:
                await attempt()
            except _Again as again:
                cause = again.cause
                if sqlstate(cause) == LOCKED and await self._cut_off_silent():
                    end = time.monotonic() + _PATIENCE
                if not self._links.reached and is_lost(cause):  # whoever can wait for a database does so before
                    return refusal(cause, self._links.place.shown)
                if number == _TRIES or time.monotonic() + pause > end:
                    return refusal(cause, self._links.place.shown)
            except Unavailable as error:
                return error
            except Exception as error:
                if not is_drivers(error):
                    raise
                return refusal(error, self._links.place.shown)
            else:
                return None
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - a pause is no secret
            pause = min(pause * 2, _LONGEST_PAUSE)
        return None

    async def _commit(self, requests: list[Request], outcome: _Outcome, group: list[Waiting], *, alone: bool) -> None:
        """Run units in one transaction and commit it, unless one of them fails: `outcome` says which.

        What follows units of `group` in the meantime is added to them.
        """
        outcome.clear()
        started = time.perf_counter()
        try:
            link = await self._linked()
            await self._begin(link, "BEGIN")
            entered = await link.cursor.run(_ENTER_ALONE if alone else _ENTER_BESIDE, (STORE_LOCK,))
            self._read_at = time.monotonic()
            _, now, number, timeline = entered[0]
            await greenlet_spawn(self._run_units, link, now, requests, outcome, group, alone=alone)
        except Exception as error:
            raise await self._judged(error) from error
        if outcome.failed is not None:
            await self._roll_back()
            return
        told = self._to_tell(outcome.hints)
        flushing = time.perf_counter()
        try:
            # The empty SELECT fails where a statement before it did; COMMIT would undo it all without an error.
            status = await link.raw.execute(f"SELECT; COMMIT; {told}" if told else "COMMIT")
        except Exception as error:
            judged = await self._judged(error)
            if sqlstate(error) == _SPOILT:
                status = "ROLLBACK"
            elif not told and not is_lost(error):
                raise judged from error
            elif await self._kept(int(number), now, timeline):
                status = "COMMIT"
            else:
                raise (_Again(error) if is_lost(error) else judged) from error
        if status == "ROLLBACK":
            raise Unavailable("The store undid the change, because a statement of it had failed: nothing was changed.")
        with self._metering:
            self._meter.note(started, flushing, time.perf_counter(), len(requests))

    def _run_units(
        self,
        link: Link,
        now: int,
        requests: list[Request],
        outcome: _Outcome,
        group: list[Waiting],
        *,
        alone: bool,
    ) -> None:
        """Run units one after the other, those that follow them last, until one fails by itself."""
        pending = None if alone else Accepting()
        first = tx = self._transaction(link, now, alone=alone, pending=pending)
        at = 0
        while True:
            if pending is not None and (at == len(requests) or requests[at].follows):
                outcome.together = not self._kept_from(requests[at - 1], link, partial(pending.write, tx))
                if outcome.together:
                    outcome.failed = at - 1
                    return
            if at == len(requests):
                requests.extend(self._line.followers(group))
            if at == len(requests):
                self._noting.keep(tx)
                return
            request = requests[at]
            tx = self._transaction(link, now, alone=alone, first=first, actor=request.actor)
            request.result = request.error = None
            if not self._kept_from(request, link, partial(_settle, request, tx)):
                outcome.failed = at
                return
            outcome.hints |= tx.hints
            at += 1

    def _kept_from(self, request: Request, link: Link, work: Callable[[], None]) -> bool:
        """Do `work` for a request; False, with the error noted there, where it fails by itself."""
        try:
            work()
        except Exception as error:
            if link.lost or (is_drivers(error) and not isinstance(error, MustBeAlone)):
                raise
            request.error = judged(error, self._links.place.shown)
            return False
        return True

    async def _look(self, request: Request) -> None:
        """Run a unit on a view that does not change; its transaction is left open."""
        request.result = request.error = None
        try:
            link = await self._linked()
            await self._begin(link, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            now = (await link.cursor.run(_LOOK))[0][0]
            self._read_at = time.monotonic()
            await greenlet_spawn(self._call, link, now, request)
        except Exception as error:
            raise await self._judged(error) from error

    def _call(self, link: Link, now: int, request: Request) -> None:
        """Run a unit that shares its transaction with nobody."""
        tx = self._transaction(link, now, alone=self._kind == "read")
        self._kept_from(request, link, partial(_settle, request, tx))

    def _transaction(
        self,
        link: Link,
        now: int,
        *,
        alone: bool,
        pending: Accepting | None = None,
        first: Transaction | None = None,
        actor: Actor | None = None,
    ) -> Transaction:
        """Return what a unit is given; it shares what units of one commit share with the `first` of them."""
        return Transaction(
            link.core,
            now if self._clock is None else self._clock.now(),
            link.cursor,
            dialect="postgresql",
            alone=alone,
            moves=self._clock is None and not alone,
            keys=[] if first is None else first.keys,
            pending=pending if first is None else first.pending,
            actor=actor,
            notes=[] if first is None else first.notes,
            read_at=self._read_at,
        )

    async def _linked(self) -> Link:
        """Return the connection, made anew where there is none."""
        if self._link is None or self._link.lost:
            self._drop()
            self._link = await self._links.link(writes=self._kind != "read")
        return self._link

    async def _begin(self, link: Link, text: str) -> None:
        """Begin a transaction: what follows may wait for others, but this does not where the connection still stands.

        Behind PgBouncer it waits for a connection of the server's.
        """
        async with asyncio.timeout(None if self._links.pooled else _BEGUN):
            await link.raw.execute(f"{text}{self._links.begin}")

    async def _judged(self, error: Exception) -> Exception:
        """Leave the transaction in which `error` came up, and return what to make of it."""
        lost = self._link is None or self._link.lost
        if sqlstate(error) == READ_ONLY and len(self._links.place.addresses) > 1:
            lost = True  # another one takes writes by now, or will in a moment
        if lost or is_lost(error):
            self._drop()
        else:
            await self._roll_back()
        return _Again(error) if passes(error) or lost else error

    async def _cut_off_silent(self) -> bool:
        """Say whether somebody who held the store was gone, and so holds it no longer."""
        try:
            async with asyncio.timeout(_BEGUN):
                return await cut_off_silent((await self._linked()).raw, STORE_LOCK) > 0
        except Exception:  # noqa: BLE001 - whatever it is, the next try will meet it too
            self._drop()
            return False

    async def _roll_back(self) -> None:
        if self._link is None:
            return
        try:
            async with asyncio.timeout(_BEGUN):
                await self._link.raw.execute("ROLLBACK")
        except Exception:  # noqa: BLE001 - whatever it is, the server undoes it with the connection
            self._drop()

    async def _kept(self, number: int, began: int, timeline: str) -> bool:
        """Find out what came of the transaction with this number, whose commit was not answered.

        Raises Unavailable where that cannot be learnt.
        """
        end = time.monotonic() + _SEARCH
        pause = _FIRST_PAUSE
        while time.monotonic() < end:
            try:
                found = await ask_fate((await self._linked()).raw, number, began, timeline)
            except Exception:  # noqa: BLE001 - the server may be away for a while
                self._drop()
                found = None
            if found is not None:
                return found
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        raise Unavailable(
            f"The connection to the database {self._links.place.shown} was lost during a commit, and the database "
            "cannot be asked what came of it: look whether the change was made before it is asked for again."
        )

    def _to_tell(self, names: Iterable[str]) -> str:
        """Return what tells other processes of hints, now and then: each of them looks by itself as well.

        Not within the transaction: PostgreSQL lets one at a time commit of those that notify, flush included. But in
        the same message: the next statement of that is a transaction of its own.
        """
        self._untold.update(names)
        self._untold.discard("told")
        if not self._untold or time.monotonic() - self._told_at < _QUIET:
            return ""
        told, self._untold = sorted(self._untold), set()
        self._told_at = time.monotonic()
        return f"NOTIFY {CHANNEL}, '{self._sender} {','.join(told)}'"

    async def _tell(self) -> None:
        """Tell other processes of what they were not told with a commit."""
        text = self._to_tell(())
        if not text or self._link is None:
            return
        try:
            async with asyncio.timeout(_BEGUN):
                await self._link.raw.execute(text)
        except Exception:  # noqa: BLE001 - a hint may come never
            self._drop()

    async def _hang_up(self) -> None:
        if self._link is not None:
            await self._link.close()
            self._link = None

    def _drop(self) -> None:
        if self._link is not None:
            self._link.drop()
            self._link = None


@dataclass(slots=True)
class _Outcome:
    """What a transaction of several units came to."""

    #: Place of the unit that failed, so that nothing was kept.
    failed: int | None = None
    #: Whether what failed belongs to more than that one.
    together: bool = False
    hints: set[str] = field(default_factory=set)

    def clear(self) -> None:
        """Begin again."""
        self.failed, self.together, self.hints = None, False, set()


def _settle(request: Request, tx: Transaction) -> None:
    request.result = request.call(tx)


def _better_alone(error: BaseException | None) -> bool:
    """Say whether a unit that ran beside others is to run again alone.

    It asks for that, or the database refused a row: another one was quicker, or one bad object among many is then set
    aside by itself.
    """
    return isinstance(error, MustBeAlone) or (error is not None and (sqlstate(error) or "").startswith(REFUSED))
