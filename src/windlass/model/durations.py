"""Durations and sizes as people write them: `90`, `5m`, `1h30m`; `1024`, `64MiB`."""

from __future__ import annotations

import re
from functools import lru_cache

_DURATION = re.compile(
    r"(?:(?P<d>\d+(?:\.\d+)?)d)?(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?"
    r"(?:(?P<s>\d+(?:\.\d+)?)s)?(?:(?P<ms>\d+)ms)?"
)
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
_PLAIN = re.compile(r"\d+(?:\.\d+)?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kKMGT]i?)?[bB]?")
_BYTES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BYTES |= {f"{letter}i": 1024**power for power, letter in enumerate("KMGT", 1)} | {"ki": 1024}
#: No duration is longer: a hundred years.
LONGEST = 100 * 366 * 86400
#: No size is larger: what 64 bits hold.
LARGEST = 2**63 - 1
_LONGEST_TEXT = 40


@lru_cache(maxsize=1024)
def parse_duration(text: str) -> int | float:
    """Return the seconds of `30s`, `15m`, `1h30m`, `2d`, `250ms` or a plain number of seconds.

    Raises ValueError where `text` is none of these, or longer than a hundred years.
    """
    text = text.strip()
    if len(text) > _LONGEST_TEXT or not text.isascii():
        raise ValueError("not a duration")
    if _PLAIN.fullmatch(text):
        seconds = float(text)
    else:
        found = _DURATION.fullmatch(text)
        if not found or not text:
            raise ValueError("not a duration")
        seconds = sum(float(number) * _SECONDS[unit] for unit, number in found.groupdict().items() if number)
    if seconds > LONGEST:
        raise ValueError("too long")
    return whole(round(seconds, 6))


def parse_size(text: str) -> int:
    """Return the bytes of `1024`, `64MiB`, `1.5GB`.

    Raises ValueError where `text` is no size, or larger than 64 bits hold.
    """
    text = text.strip()
    found = _SIZE.fullmatch(text) if len(text) <= _LONGEST_TEXT and text.isascii() else None
    if not found:
        raise ValueError("not a size")
    number, unit = found.groups()
    size = round(float(number) * _BYTES[unit or ""])
    if size > LARGEST:
        raise ValueError("too large a size")
    return size


def whole(number: float) -> int | float:
    """Return a number without a fraction as an int, so that `5` and `5.0` are the same content.

    Numbers beyond 64 bits stay as they are.
    """
    return int(number) if abs(number) <= LARGEST and number == int(number) else number


def duration_text(seconds: float) -> str:
    """Return seconds as people write them: 5400 is `1h30m`."""
    rest = round(seconds * 1000)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
