"""A row that is measured beside the queues which keep their work in SQLite too: the same sizes and rounds for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from bench.children import ours, peer
from bench.entry import in_turn, versions
from bench.settings import DBOS, HUEY, OURS

_PEERS: Final = {"huey": HUEY, "dbos": DBOS}

Found = Mapping[str, Sequence[Mapping[str, Any]]]


def beside(row: str, rounds: int) -> Found:
    """Measure Windlass and the peers that have settings for a row, in turn; return the rounds of each by name."""
    peers = {name: partial(peer, name, row, sizes[row]) for name, sizes in _PEERS.items() if row in sizes}
    return in_turn(rounds, {"windlass": partial(ours, row, OURS[row]), **peers})


def conditions(row: str, rounds: int, found: Found, **more: Any) -> dict[str, Any]:
    """Return what an entry says of how it was measured: the settings of each side with `more`, and the versions."""
    peers = {name: sizes[row] for name, sizes in _PEERS.items() if row in sizes}
    return {
        "settings": {"ours": OURS[row], **peers, "rounds": rounds, **more},
        "versions": versions(**{name: found[name][0]["version"] for name in peers}),
    }
