"""`windlass queue list`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.cli.table import Column
from windlass.cli.text import ago, plain
from windlass.model.durations import duration_text


def paused(said: Mapping[str, Any] | None) -> str:
    """Return since when, by whom and why a queue is paused."""
    if said is None:
        return ""
    return f"{ago(said['since'])} by {plain(said['by'])}" + (f": {plain(said['why'])}" if said["why"] else "")


def maintenance_line(said: Mapping[str, Any]) -> str:
    """Return what there is to know while maintenance is on."""
    why = f" ({plain(said['why'])})" if said["why"] else ""
    since = f"since {ago(said['since'])}, by {plain(said['by'])}{why}"
    return f"Maintenance is on {since}: nothing is started until `windlass maintenance off`."


def rates(row: Mapping[str, Any]) -> str:
    """Return how much is taken of the limited resources that tasks of a queue take of."""
    return ", ".join(_rate(one) for one in row["rateLimits"])


def _rate(one: Mapping[str, Any]) -> str:
    following = f", next {ago(one['nextAt'])}" if one["nextAt"] else ""
    return f"{plain(one['resource'])} {one['used']}/{one['limit']} in {duration_text(one['window'])}{following}"


def _of(state: str) -> Column:
    return Column(state.upper(), lambda row: str(row["counts"].get(state, "")), right=True)


_COLUMNS = (
    Column("QUEUE", lambda row: row["name"]),
    *map(_of, ("queued", "running", "pending", "scheduled", "waiting")),
    Column("LIMIT", lambda row: plain(row["limit"]), right=True),
    Column("RATES", rates, shrinks=True),
    Column("OLDEST", lambda row: ago(row["oldestDueAt"])),
    Column("PAUSED", lambda row: paused(row["paused"]), shrinks=True),
)


@make(name="list")
def command(session: Session) -> None:
    """List the queues in which tasks wait or run."""
    with session.connect() as client:
        queues = client.get("queues")["items"]
        said = client.get("maintenance")
    if said["on"]:
        session.out.note(f"windlass: {maintenance_line(said)}")
    session.out.rows(queues, _COLUMNS, "No task waits or runs.")
