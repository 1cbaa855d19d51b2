"""What was measured by `make bench STORE=postgres ROW=costs`: figures of one day and one machine, in costs.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tools.scaling.taken import FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a piece of work costs: microseconds of processor time, bytes of the write-ahead log, numbers."""

    server: float = 0.0
    worker: float = 0.0
    #: Of the process that submits, or asks.
    submitter: float = 0.0
    log: float = 0.0
    rows: float = 0.0
    commits: float = 0.0
    #: Bytes that stay, with their indexes.
    stored: float = 0.0
    #: Connections that it holds.
    connections: float = 0.0


_KINDS: Final = {"log, bytes": "log", "stored, bytes": "stored"}


def read(told: Mapping[str, Mapping[str, float]]) -> dict[str, Cost]:
    """Return costs from the words of the bench."""
    return {
        name: Cost(**{_KINDS.get(kind, kind.removesuffix(", us")): cost for kind, cost in kinds.items()})
        for name, kinds in told.items()
    }


_KEPT: Final[dict[str, Any]] = json.loads(FILE.read_text())
COSTS: Final[Mapping[str, Cost]] = read(_KEPT["costs"])
#: When, and on and with what.
MEASURED: Final[str] = _KEPT["measured"]
VERSIONS: Final[Mapping[str, str]] = _KEPT["versions"]
#: How many callers waited, each for its own run, and further sizes.
SETTINGS: Final[Mapping[str, Any]] = _KEPT["settings"]
