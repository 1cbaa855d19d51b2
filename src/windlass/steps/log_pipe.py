"""The way of an attempt's output into the store: masked, cut into chunks, kept up to its quota."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from windlass.errors import CorruptStore, NoRoom, Refused, Unavailable
from windlass.model.log_quota import LogQuota, Piece
from windlass.model.masking import Masker
from windlass.steps.log_spool import LogSpool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from windlass.clock import Clock
    from windlass.model.masking import MaskStream
    from windlass.steps.contract import Stream

DEFAULT_QUOTA: Final = 64 * 1024 * 1024
DEFAULT_CHUNK: Final = 64 * 1024
DEFAULT_DELAY: Final = 0.2
DEFAULT_PATIENCE: Final = 10.0
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
#: Changes between the streams within one flush that are kept; beyond it each stream stands by itself.
_MOST_CHANGES: Final = 64


class StoreChunk(Protocol):
    """Keeps one chunk of an attempt's log."""

    async def __call__(self, seq: int, at: int, stream: Stream, data: bytes) -> None:
        """Keep `data` as chunk number `seq` (1, 2, 3, ...), read at `at` microseconds since the epoch."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTotals:
    """What became of an attempt's output, in bytes."""

    #: What the step wrote.
    bytes_out: int
    #: What was stored, the lines of Windlass itself included.
    log_bytes: int
    #: Number of the last chunk that was stored, or that is to hold what is `unsaid`.
    chunks: int
    #: What the quota left out.
    left_out: int
    #: What could not be masked or stored, and why.
    lost: int
    failure: Exception | None
    #: The line of Windlass that could not be stored either; it belongs into chunk number `chunks`.
    unsaid: bytes = b""


@dataclass(slots=True)
class _Run:
    at: int
    stream: Stream
    parts: list[bytes] = field(default_factory=list)


class LogPipe:
    """A LogSink over a store. Writing waits while a full chunk is being stored: that is the back-pressure on a step.

    A store that is out of reach is waited for, and does not hold the step up: what it writes waits in memory and in a
    file (`LogSpool`), within the quota, and is stored in order once the store is back. What cannot be masked is dropped
    with a visible line. So is output that a store without room does not take, or a store that is still away when the
    worker ends: it is counted until something can be stored again, and a line says so at that place. A full disk never
    stops a step, and no log is cut without a word. Once the store refuses a chunk, for the claim no longer stands, the
    rest is refused as well, and is not tried.
    """

    def __init__(
        self,
        store_chunk: StoreChunk,
        *,
        clock: Clock,
        masker: Masker | None = None,
        quota: int = DEFAULT_QUOTA,
        chunk_bytes: int = DEFAULT_CHUNK,
        flush_after: float = DEFAULT_DELAY,
        patience: float = DEFAULT_PATIENCE,
        leaving: Callable[[], bool] = lambda: False,
        folder: Path | None = None,
    ) -> None:
        """Keep up to `quota` bytes, in chunks of `chunk_bytes` that wait for `flush_after` seconds at most.

        A store out of reach is waited for; once the worker is `leaving`, for `patience` seconds more. Meanwhile output
        waits in a file in `folder`; without one the step is held up once it has written more than waits in memory.
        """
        self._patience = patience
        self._leaving = leaving
        self._patient_until: float | None = None
        self._spool = LogSpool(folder)
        #: Set while the store is out of reach.
        self._away = asyncio.Event()
        self._store_chunk = store_chunk
        self._clock = clock
        self._masker = masker or Masker()
        self._streams: dict[Stream, MaskStream] = {}
        self._quota = LogQuota(quota)
        self._chunk_bytes = chunk_bytes
        self._flush_after = flush_after
        self._runs: list[_Run] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._seq = 0
        self._bytes_out = 0
        self._log_bytes = 0
        self._lost = 0
        #: What was lost since a line has said so.
        self._untold = 0
        self._failure: Exception | None = None
        self._said_full = False
        self._totals: LogTotals | None = None

    async def write(self, data: bytes, stream: Stream = "stdout") -> None:
        """Take output as it came; returns once it is stored, waits in less than one chunk, or in the spool."""
        if stream != "system":
            self._bytes_out += len(data)
        if self._totals is not None:
            return
        self._add(self._mask(data, stream), stream)
        while self._size >= self._chunk_bytes:
            if self._away.is_set() and not self._spool.full:
                self._admit_runs()
            else:
                await self._flush_or_away()

    async def flush(self) -> None:
        """Store all that waits, but for what may be the beginning of a secret."""
        while self._runs or self._spool or self._flushing:
            await self._flush_now()

    async def close(self) -> LogTotals:
        """Store everything, the kept end included, and return what became of the output. May be called again."""
        if self._totals is None:
            for stream in list(self._streams):
                self._add(self._finish(stream), stream)
            await self.flush()
            self._admit_tail()
            await self.flush()
            self._spool.close()
            unsaid = b"" if await self._say_what_was_lost() else self._loss()
            if self._timer:
                self._timer.cancel()
            self._totals = LogTotals(
                bytes_out=self._bytes_out,
                log_bytes=self._log_bytes + len(unsaid),
                chunks=self._seq + bool(unsaid),
                left_out=self._quota.left_out,
                lost=self._lost,
                failure=self._failure,
                unsaid=unsaid,
            )
        return self._totals

    def _mask(self, data: bytes, stream: Stream) -> bytes:
        if not self._masker.active:
            return data
        if stream not in self._streams:
            self._streams[stream] = self._masker.stream()
        try:
            return self._streams[stream].feed(data)
        except Exception:  # noqa: BLE001 - whatever goes wrong, nothing unmasked may pass
            return self._drop_unmasked(stream, len(data))

    def _finish(self, stream: Stream) -> bytes:
        try:
            return self._streams.pop(stream).finish()
        except Exception:  # noqa: BLE001 - whatever goes wrong, nothing unmasked may pass
            return self._drop_unmasked(stream, 0)

    def _drop_unmasked(self, stream: Stream, size: int) -> bytes:
        self._streams.pop(stream, None)
        self._lost += size
        return f"\n[windlass: {size:,} bytes are left out, they could not be masked]\n".encode()

    def _add(self, data: bytes, stream: Stream) -> None:
        if not data:
            return
        if not self._runs or self._runs[-1].stream != stream:
            self._runs.append(_Run(self._clock.now(), stream))
        self._runs[-1].parts.append(data)
        self._size += len(data)
        if self._timer is None:
            self._begin_timer()

    def _begin_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._flush_after, self._start_flush)

    def _start_flush(self) -> asyncio.Task[None]:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().create_task(self._store_runs())
        return self._flushing

    async def _flush_now(self) -> None:
        # Shielded: who is cancelled while he waits must not take a half-stored chunk with him.
        await asyncio.shield(self._start_flush())

    async def _flush_or_away(self) -> None:
        """Wait until what waits is stored, or the store turns out to be out of reach while there is still a place."""
        flushing = self._start_flush()
        away = asyncio.create_task(self._away.wait())
        try:
            await asyncio.wait([flushing] if self._spool.full else [flushing, away], return_when="FIRST_COMPLETED")
        finally:
            away.cancel()
        if flushing.done():
            flushing.result()

    async def _store_runs(self) -> None:
        try:
            self._admit_runs()
            while self._spool:
                piece = self._spool.first()
                await self._store(piece)
                self._spool.drop()
        finally:
            self._flushing = None
            if self._runs and self._timer is None:  # it came meanwhile, and nobody else sees to it
                self._begin_timer()

    def _admit_runs(self) -> None:
        """Bring what was written into the line of what is to be stored, as far as the quota allows."""
        runs, self._runs, self._size = self._runs, [], 0
        for run in runs if len(runs) <= _MOST_CHANGES else _by_stream(runs):
            data = b"".join(run.parts)
            for start in range(0, len(data), self._chunk_bytes):
                self._admit(Piece(run.at, run.stream, data[start : start + self._chunk_bytes]))

    def _admit(self, piece: Piece) -> None:
        data = self._quota.admit(piece)
        if data:
            self._spool.put(Piece(piece.at, piece.stream, data))
        if self._quota.full and not self._said_full:
            self._said_full = True
            limit, tail = self._quota.limit, self._quota.tail_limit
            self._say(f"the log quota of {limit:,} bytes is used up; of what follows the last {tail:,} are kept")

    def _admit_tail(self) -> None:
        tail = self._quota.close()
        if self._quota.left_out:
            self._say(f"{self._quota.left_out:,} bytes are left out here")
        for piece in tail:
            self._spool.put(piece)

    async def _say_what_was_lost(self) -> bool:
        """Store a line about what was lost since the last one; False where that cannot be stored either."""
        if not self._untold:
            return True
        if not await self._stored(self._clock.now(), "system", self._loss()):
            return False
        self._untold = 0
        return True

    def _loss(self) -> bytes:
        """Return the line about what was lost."""
        text = f"{self._untold:,} bytes could not be stored here: {self._failure}"
        return f"[windlass: {self._masker.mask_text(text)}]\n".encode()

    def _say(self, text: str) -> None:
        said = f"[windlass: {self._masker.mask_text(text)}]\n".encode()
        self._spool.put(Piece(self._clock.now(), "system", said))

    async def _store(self, piece: Piece) -> None:
        if not (await self._say_what_was_lost() and await self._stored(piece.at, piece.stream, piece.data)):
            self._lost += len(piece.data)
            self._untold += len(piece.data)

    async def _stored(self, at: int, stream: Stream, data: bytes) -> bool:
        """Store one chunk, waiting for a store that is out of reach; return whether it is kept."""
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while not isinstance(self._failure, Refused):
            try:
                await self._store_chunk(self._seq + 1, at, stream, data)
            except Exception as error:  # noqa: BLE001 - a log that cannot be kept does not stop the step
                self._failure = error
                if not isinstance(error, Unavailable) or isinstance(error, CorruptStore | NoRoom):
                    break
                self._away.set()
                if self._patient_until is None and self._leaving():
                    self._patient_until = loop.time() + self._patience
                left = pause if self._patient_until is None else self._patient_until - loop.time()
                if left <= 0:
                    return False
                await asyncio.sleep(min(pause, left))
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._patient_until = None
                self._away.clear()
                self._seq += 1
                self._log_bytes += len(data)
                return True
        self._away.clear()
        return False


def _by_stream(runs: list[_Run]) -> list[_Run]:
    joined: dict[Stream, _Run] = {}
    for run in runs:
        joined.setdefault(run.stream, _Run(run.at, run.stream)).parts.extend(run.parts)
    return list(joined.values())
