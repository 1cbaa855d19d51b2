"""What a run waits for that will not pass by itself in a moment, as one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from windlass.cli.text import local_times, one_line

if TYPE_CHECKING:
    from windlass.client.client import Client

#: Kinds of causes that are no matter of a free slot.
_OBSTACLES: Final = frozenset(
    {
        "dependency", "limit", "concurrency", "concurrency_skip", "maintenance", "queue_paused", "queue_limit",
        "pool_limit", "rate_limit", "no_worker", "workers_drain", "worker_gone",
    }
)  # fmt: skip
_BEFORE: Final = frozenset({"waiting", "queued"})


def obstacle(client: Client, run: Mapping[str, Any]) -> str:
    """Return the sentence of what keeps a run from beginning; nothing where it only waits for its turn."""
    if run["state"] not in _BEFORE:
        return ""
    return first_of(client.get("runs", run["id"], "why")["because"])


def first_of(causes: Sequence[Mapping[str, Any]]) -> str:
    """Return the sentence of the first cause that is an obstacle; nothing where none is."""
    return next((local_times(one_line(one["message"])) for one in _all(causes) if one["kind"] in _OBSTACLES), "")


def _all(causes: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for one in causes:
        yield one
        yield from _all(one.get("because", ()))
