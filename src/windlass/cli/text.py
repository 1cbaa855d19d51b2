"""Text as people read it in a terminal: nothing that a terminal would act on, short times and durations."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any, Final

#: Escape sequences: CSI, OSC and other strings up to their end, then single ones.
_ESCAPES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)"
    r"|\x1b[ -/]*[0-~]?"
)
#: Control characters but for tab and line feed, and those that turn the direction of text around.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400
_FEW_SECONDS: Final = 10
_KIB: Final = 1024
_UTC_TIME: Final = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z")
_SHORT: Final = len("01a20241-74c1-70fd")


def clean(text: str) -> str:
    """Return `text` without anything that a terminal would act on; tabs and line ends stay."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))


def one_line(text: str) -> str:
    """Return `text` cleaned, with its line ends and runs of blanks as single blanks."""
    return " ".join(clean(text).split())


def width_of(text: str) -> int:
    """Return how many columns cleaned text takes."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def fitted(text: str, width: int) -> str:
    """Return one line of text cut to `width` columns, with an ellipsis where something is left out."""
    if width_of(text) <= width:
        return text
    kept, used = [], 0
    for character in text:
        used += _width(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept) + "…" if width > 0 else ""


def duration(seconds: float | None) -> str:
    """Return a duration with the precision that matters: `0.42s`, `7.3s`, `2m05s`, `3h12m`, `4d06h`."""
    if seconds is None:
        return ""
    seconds = max(0.0, seconds)
    if seconds < _FEW_SECONDS:
        return f"{seconds:.2f}s" if seconds < 1 else f"{seconds:.1f}s"
    whole = int(seconds)
    for length, unit, below, part in ((_DAY, "d", _HOUR, "h"), (_HOUR, "h", _MINUTE, "m"), (_MINUTE, "m", 1, "s")):
        if whole >= length:
            return f"{whole // length}{unit}{whole % length // below:02}{part}"
    return f"{whole}s"


def instant(text: str | None) -> datetime | None:
    """Return the time that RFC 3339 text names; None for None."""
    return None if text is None else datetime.fromisoformat(text)


def between(begin: str | None, end: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds from `begin` to `end`, or to now where there is no end yet; None where nothing began."""
    first = instant(begin)
    if first is None:
        return None
    return ((instant(end) or now or datetime.now(UTC)) - first).total_seconds()


def ago(text: str | None, now: datetime | None = None) -> str:
    """Return a time from now: `12s ago`, `in 3h`; empty for None."""
    at = instant(text)
    if at is None:
        return ""
    seconds = ((now or datetime.now(UTC)) - at).total_seconds()
    size = abs(seconds)
    for length, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m"), (1, "s")):
        if size >= length:
            shown = f"{int(size // length)}{unit}"
            return f"{shown} ago" if seconds > 0 else f"in {shown}"
    return "now"


def local_time(text: str | None) -> str:
    """Return a time with its zone on this machine, to the second; empty for None."""
    at = instant(text)
    return "" if at is None else at.astimezone().isoformat(sep=" ", timespec="seconds")


def minute(text: str | None) -> str:
    """Return a time on this machine's clock to the minute, for lists; empty for None."""
    at = instant(text)
    return "" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M")


def clock(text: str | None) -> str:
    """Return the time of day on this machine's clock, to the second; empty for None."""
    at = instant(text)
    return "" if at is None else at.astimezone().strftime("%H:%M:%S")


def short_id(text: str | None) -> str:
    """Return the beginning of a run's id, which names its millisecond and stands for it in every command."""
    return "" if text is None else text[:_SHORT]


def size(count: float | None) -> str:
    """Return bytes as `512 B`, `4.0 KiB`, `1.5 GiB`; empty for None."""
    if count is None:
        return ""
    if count < _KIB:
        return f"{count:.0f} B"
    units = ("KiB", "MiB", "GiB", "TiB")
    power = next((power for power in range(1, len(units)) if count < _KIB ** (power + 1)), len(units))
    return f"{count / _KIB**power:.1f} {units[power - 1]}"


def counted(count: int, what: str) -> str:
    """Return how many there are of something that `what` names in the singular: `1 run`, `1,200 runs`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def local_times(text: str) -> str:
    """Return a sentence with the times in it, of RFC 3339 in UTC, as `local_time` writes them."""
    return _UTC_TIME.sub(lambda found: local_time(found[0]), text)


def percent(share: float | None) -> str:
    """Return a share of 1 as `98 %`; only all of it is `100 %`. Empty for None."""
    if share is None:
        return ""
    return "100 %" if share == 1 else f"{min(share * 100, 99):.0f} %"


def plain(value: Any) -> str:
    """Return a JSON value as one line: text as it is, nothing for None, `a=b c=d` for a flat object."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return " ".join(f"{key}={plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(plain(item) for item in value)
    return one_line(str(value))


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
