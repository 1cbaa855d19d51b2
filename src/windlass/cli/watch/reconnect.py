"""Following through a server that goes away: another one that takes its place is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from windlass.cli.text import duration
from windlass.errors import ServerGone, Unavailable

if TYPE_CHECKING:
    from windlass.cli.session import Session
    from windlass.client.client import Client

Result = TypeVar("Result")
Function = TypeVar("Function", bound=Callable[..., Any])
#: Seconds between two looks for a server.
_PAUSE: Final = 0.1


class _Duration(click.ParamType[float]):
    """A duration such as 90s or 15m, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds that `value` stands for; 0 too."""
        from windlass.model.durations import parse_duration  # noqa: PLC0415 - few commands name a duration

        if str(value).rstrip("s") == "0":
            return 0.0
        try:
            return parse_duration(value)
        except (ValueError, OverflowError):
            self.fail(f'"{str(value)[:80]}" is no duration such as 90s, 15m or 0.', param, ctx)


def reconnect_option() -> Callable[[Function], Function]:
    """Return the option that bounds how long a server that went away is waited for."""
    return click.option(
        "--reconnect",
        type=_Duration(),
        default="1m",
        show_default=True,
        metavar="DURATION",
        help="Wait so long for a server that goes away to come back.",
    )


def follow_through(session: Session, client: Client, work: Callable[[Client], Result], *, patience: float) -> Result:
    """Return what `work` makes with `client`; where the server goes away, with a client of the next one, again.

    Raises ServerGone where none comes within `patience` seconds.
    """
    own: Client | None = None
    try:
        while True:
            try:
                return work(own or client)
            except ServerGone:
                if own is not None:
                    own.close()
                own = _next_server(session, patience)
    finally:
        if own is not None:
            own.close()


def _answers(client: Client) -> bool:
    """Say whether a server answers: one that is being killed takes connections to the last."""
    try:
        client.get("executor", "status")
    except Unavailable:
        client.close()
        return False
    return True


def _next_server(session: Session, patience: float) -> Client:
    if patience <= 0:
        raise ServerGone("The server went away; start `windlass up` and follow again.")
    session.out.note(f"windlass: The server went away; waiting for it to come back, up to {duration(patience)}.")
    end = time.monotonic() + patience
    while True:
        found = session.program.reach(session.settings)
        if found is not None and _answers(found):
            session.out.note("windlass: The server is back.")
            return found
        if time.monotonic() > end:
            raise ServerGone(
                f"The server did not come back within {duration(patience)}; start `windlass up` and follow again."
            )
        time.sleep(_PAUSE)
