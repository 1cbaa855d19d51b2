"""Identifiers: UUID version 7 (RFC 9562), strictly increasing within a process, kept as 16 bytes."""

from __future__ import annotations

import os
import threading
import time
from typing import Protocol
from uuid import UUID

_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62
_LAST_MILLIS = 2**48 - 1


class IdSource(Protocol):
    """Where new ids come from."""

    def new(self) -> bytes:
        """Return an id that is greater than every one before it."""
        ...


class Uuid7Source:
    """UUIDv7 with a counter in its random part, so that ids of one process never go back.

    The 74 random bits of RFC 9562 are a counter that is seeded anew each millisecond (method 2 of its section 6.2).
    When the clock stands still or goes back, the last millisecond is kept and the counter goes on.
    """

    def __init__(self) -> None:
        """Start with no id given out."""
        self._lock = threading.Lock()
        self._millis = 0
        self._counter = 0

    def new(self) -> bytes:
        """Return an id that is greater than every one before it."""
        with self._lock:
            millis = time.time_ns() // 1_000_000
            if millis > self._millis:
                self._millis = millis
                self._counter = int.from_bytes(os.urandom(9)) >> 1  # the top bits stay free for the steps
            else:
                self._counter += 1 + (os.urandom(2)[0] << 8)
            high, low = self._counter >> 62, self._counter & ((1 << 62) - 1)
            value = (self._millis << 80) | _VERSION | (high << 64) | _VARIANT | low
        return value.to_bytes(16)


class SequentialIds:
    """Ids for tests: 1, 2, 3, ... as 16 bytes."""

    def __init__(self) -> None:
        """Start at 1."""
        self._last = 0

    def new(self) -> bytes:
        """Return the next number."""
        self._last += 1
        return self._last.to_bytes(16)


def id_text(value: bytes) -> str:
    """Return the usual text of a 16-byte id."""
    digits = value.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def parse_id(text: str) -> bytes | None:
    """Return the 16 bytes of an id's text, or None where `text` is not one."""
    try:
        return UUID(text).bytes
    except ValueError:
        return None


def first_of(millis: int) -> bytes:
    """Return an id that is below every UUIDv7 of a millisecond since the epoch and above all of the one before.

    What lies outside of the times that a UUIDv7 can tell counts as the nearest of them.
    """
    return (min(max(millis, 0), _LAST_MILLIS) << 80).to_bytes(16)
