"""The way of an attempt's output into the store: masked, cut into chunks, kept up to its quota."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from windlass.errors import CorruptStore, NoRoom, Unavailable
from windlass.model.log_quota import LogQuota, Piece
from windlass.model.masking import Masker

if TYPE_CHECKING:
    from windlass.clock import Clock
    from windlass.model.masking import MaskStream
    from windlass.steps.contract import Stream

DEFAULT_QUOTA: Final = 64 * 1024 * 1024
DEFAULT_CHUNK: Final = 64 * 1024
DEFAULT_DELAY: Final = 0.2
DEFAULT_PATIENCE: Final = 30.0
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

    What cannot be masked is dropped with a visible line. A store that is out of reach is waited for, one without room
    is not; where it stays so, output is counted and dropped until something can be stored again, and a line says so at
    that place: a full disk never stops a step, and no log is cut without a word.
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
    ) -> None:
        """Keep up to `quota` bytes, in chunks of `chunk_bytes` that wait for `flush_after` seconds at most.

        A store out of reach is waited for `patience` seconds, once until it has answered again.
        """
        self._patience = patience
        self._patient_until: float | None = None
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
        """Take output as it came; returns once it is stored or waits in less than one chunk."""
        if stream != "system":
            self._bytes_out += len(data)
        if self._totals is not None:
            return
        self._add(self._mask(data, stream), stream)
        while self._size >= self._chunk_bytes:
            await self._flush_now()

    async def flush(self) -> None:
        """Store all that waits, but for what may be the beginning of a secret."""
        while self._runs or self._flushing:
            await self._flush_now()

    async def close(self) -> LogTotals:
        """Store everything, the kept end included, and return what became of the output. May be called again."""
        if self._totals is None:
            for stream in list(self._streams):
                self._add(self._finish(stream), stream)
            await self.flush()
            await self._store_tail()
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

    async def _store_runs(self) -> None:
        runs, self._runs, self._size = self._runs, [], 0
        try:
            for run in runs if len(runs) <= _MOST_CHANGES else _by_stream(runs):
                data = b"".join(run.parts)
                for start in range(0, len(data), self._chunk_bytes):
                    await self._admit(Piece(run.at, run.stream, data[start : start + self._chunk_bytes]))
        finally:
            self._flushing = None

    async def _admit(self, piece: Piece) -> None:
        await self._store(piece.at, piece.stream, self._quota.admit(piece))
        if self._quota.full and not self._said_full:
            self._said_full = True
            limit, tail = self._quota.limit, self._quota.tail_limit
            await self._say(f"the log quota of {limit:,} bytes is used up; of what follows the last {tail:,} are kept")

    async def _store_tail(self) -> None:
        tail = self._quota.close()
        if self._quota.left_out:
            await self._say(f"{self._quota.left_out:,} bytes are left out here")
        for piece in tail:
            await self._store(piece.at, piece.stream, piece.data)

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

    async def _say(self, text: str) -> None:
        await self._store(self._clock.now(), "system", f"[windlass: {self._masker.mask_text(text)}]\n".encode())

    async def _store(self, at: int, stream: Stream, data: bytes) -> None:
        if data and not (await self._say_what_was_lost() and await self._stored(at, stream, data)):
            self._lost += len(data)
            self._untold += len(data)

    async def _stored(self, at: int, stream: Stream, data: bytes) -> bool:
        """Store one chunk, waiting for a store that is out of reach; return whether it is kept."""
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._store_chunk(self._seq + 1, at, stream, data)
            except Exception as error:  # noqa: BLE001 - a log that cannot be kept does not stop the step
                self._failure = error
                if self._patient_until is None:
                    self._patient_until = loop.time() + self._patience
                left = self._patient_until - loop.time()
                waits = isinstance(error, Unavailable) and not isinstance(error, CorruptStore | NoRoom)
                if left <= 0 or not waits:
                    return False
                await asyncio.sleep(min(pause, left))
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                self._patient_until = None
                self._seq += 1
                self._log_bytes += len(data)
                return True


def _by_stream(runs: list[_Run]) -> list[_Run]:
    joined: dict[Stream, _Run] = {}
    for run in runs:
        joined.setdefault(run.stream, _Run(run.at, run.stream)).parts.extend(run.parts)
    return list(joined.values())
