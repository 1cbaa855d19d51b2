"""Following through the absence of a server, or of its store: what comes back, or takes its place, is waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import click

from windlass.cli.text import duration
from windlass.errors import ServerGone, Unavailable

if TYPE_CHECKING:
    from types import TracebackType

    from windlass.cli.session import Session
    from windlass.client.client import Client

Result = TypeVar("Result")
Function = TypeVar("Function", bound=Callable[..., Any])
#: Seconds that a server or a store is waited for, where nobody says how long.
PATIENCE: Final = 60.0
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
    """Return the option that bounds how long a server or a store that went away is waited for."""
    return click.option(
        "--reconnect",
        type=_Duration(),
        default="1m",
        show_default=True,
        metavar="DURATION",
        help="Wait so long for a server or a store that goes away to come back.",
    )


class Lifeline:
    """What a command that follows speaks through, from any of its threads: it lives through absences.

    Where the server goes away, or the store behind it, that is told once; everybody waits until one answers again, and
    goes on with that. Errors that waiting does not mend are raised as they come.
    """

    def __init__(self, session: Session, client: Client, patience: float, *, moves: bool = True) -> None:
        """Begin with `client`; wait up to `patience` seconds each time.

        Without `moves` a server that went away is not waited for, for the caller knows what to do then.
        """
        self._session = session
        self._client = client
        self._patience = patience
        self._moves = moves
        #: One that was made here.
        self._own: Client | None = None
        self._lock = threading.Lock()
        #: How often something came back, and why nobody waits any more.
        self._times = 0
        self._over: Unavailable | None = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what was opened here."""
        if self._own is not None:
            self._own.close()

    def through(self, work: Callable[[Client], Result]) -> Result:
        """Return what `work` makes with the client; after an absence it is done again, with the one that answers then.

        Raises Unavailable where nobody answers within the time that is waited.
        """
        while True:
            with self._lock:
                client, times = self._client, self._times
            try:
                return work(client)
            except Unavailable as error:
                if type(error) not in ({Unavailable, ServerGone} if self._moves else {Unavailable}):
                    raise  # no room, a damaged database, nobody who works: a person must act
                self._await(times, error)

    def get(self, *path: str, **query: Any) -> Any:
        """Return what a resource says, through absences; see `Client.get`."""
        return self.through(lambda client: client.get(*path, **query))

    def pages(self, *path: str, **query: Any) -> list[dict[str, Any]]:
        """Return the items of a list, through absences; see `Client.pages`."""
        return self.through(lambda client: list(client.pages(*path, **query)))

    def _await(self, times: int, error: Unavailable) -> None:
        """Return once somebody answers again; the first who comes waits, and the others for him."""
        with self._lock:
            if times != self._times:
                return
            if self._over is None:
                self._over = self._awaited(error)
            if self._over is not None:
                raise self._over
            self._times += 1

    def _awaited(self, error: Unavailable) -> Unavailable | None:
        """Wait, and tell so; return what to raise where nobody came back."""
        gone = isinstance(error, ServerGone)
        what, then = ("server", "start `windlass up`") if gone else ("store", "see that its database runs,")
        if self._patience <= 0:
            return ServerGone(f"The server went away; {then} and follow again.") if gone else error
        away = "The server went away" if gone else "The store cannot be reached"
        self._session.out.note(f"windlass: {away}; waiting for it to come back, up to {duration(self._patience)}.")
        end = time.monotonic() + self._patience
        while not self._found(moves=gone):
            if time.monotonic() > end:
                text = f"The {what} did not come back within {duration(self._patience)}; {then} and follow again."
                return ServerGone(text) if gone else Unavailable(text)
            time.sleep(_PAUSE)
        self._session.out.note(f"windlass: The {what} is back.")
        return None

    def _found(self, *, moves: bool) -> bool:
        """Say whether somebody answers again: whom we spoke to, or the server that took its place.

        With `moves` only somebody by whom runs go on: a server answers a moment before it takes work.
        """
        if _answers(self._client, moves=moves):
            return True
        found = self._session.program.reach(self._session.settings) if self._moves else None
        if found is None:
            return False
        if not _answers(found, moves=moves):
            found.close()
            return False
        if self._own is not None:
            self._own.close()
        self._own = self._client = found
        return True


def _answers(client: Client, *, moves: bool) -> bool:
    """Say whether a server and its store answer: a server that is being killed takes connections to the last."""
    try:
        status = client.get("executor", "status")
    except Unavailable:
        return False
    return not moves or status["served"] or not status["nobodyWorks"]
