"""Server-sent events out of a stream of bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event of a stream."""

    type: str
    data: str
    #: What to name as `Last-Event-ID` to go on behind it; None where the event has none.
    id: str | None = None

    def json(self) -> Any:
        """Return the data read as JSON."""
        return json.loads(self.data)


def server_events(chunks: Iterable[bytes]) -> Iterator[ServerEvent]:
    """Yield the complete events of a stream; comments and a last event that was cut off are left out."""
    fields: dict[str, str] = {}
    data: list[str] = []
    for line in _lines(chunks):
        if not line:
            if data:
                yield ServerEvent(fields.get("event", "message"), "\n".join(data), fields.get("id"))
            fields, data = {}, []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name:
            fields[name] = value


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the complete lines of a stream; a character may be cut by the end of a chunk."""
    rest = b""
    for chunk in chunks:
        *complete, rest = (rest + chunk).split(b"\n")
        for line in complete:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")
