"""HTTP over the Unix socket of the process that owns the store; standard library only."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator, Mapping
from math import inf
from pathlib import Path
from typing import Final

from windlass.errors import ServerGone, Unavailable
from windlass.settings import UNIX

#: Seconds that an answer may take to begin; a start that waits for the store takes up to 10.
_PATIENCE: Final = 30.0
#: Seconds that a listening process has to take a connection.
_PROBE: Final = 5.0
_CHUNK: Final = 64 * 1024


class UnixTransport:
    """Speaks to a socket; each request has a connection of its own, for a command has few of them."""

    def __init__(self, path: Path, patience: float = _PATIENCE) -> None:
        """Remember the socket's `path`; nothing is opened yet."""
        self._path = path
        self._patience = patience

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        patience: float | None = None,
    ) -> UnixReply:
        """Send a request; see `Transport.send`."""
        wanted = self._patience if patience is None else patience
        connection = UnixConnection(self._path, None if wanted == inf else wanted)
        try:
            connection.request(method, target, body=body, headers=dict(headers))
            return UnixReply(connection, connection.getresponse())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ServerGone(f"The server does not answer on {self._path}{reason(error)}.") from None

    def close(self) -> None:
        """Let go of everything: there is nothing kept."""


class UnixReply:
    """An answer on a connection of its own."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        """Take over the connection."""
        self._connection = connection
        self._response = response
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}

    def read(self) -> bytes:
        """Return all of the body; see `Reply.read`."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes; see `Reply.chunks`."""
        try:
            while chunk := self._response.read1(_CHUNK):
                yield chunk
            if self._response.length:  # a body of known length that ended early
                raise ServerGone("The connection to the server broke in the middle of an answer.")
        except (OSError, http.client.HTTPException) as error:
            raise ServerGone(f"The connection to the server broke{reason(error)}.") from None
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        self._response.close()
        self._connection.close()


def listens(path: Path) -> bool:
    """Say whether somebody takes connections on a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def named_transport(address: str) -> UnixTransport:
    """Return the way to the server with an address of the settings. Raises Unavailable where none listens there."""
    path = Path(address.removeprefix(UNIX))
    if not listens(path):
        raise Unavailable(f"Nobody listens on {path}, which WINDLASS_URL names; start the server.")
    return UnixTransport(path)


class UnixConnection(http.client.HTTPConnection):
    """A connection of HTTP over a Unix socket."""

    def __init__(self, path: Path, patience: float | None) -> None:
        """Speak to the socket at `path`; each step may take `patience` seconds, or for ever."""
        super().__init__("localhost", timeout=patience)
        self._path = path

    def connect(self) -> None:
        """Connect. Raises OSError."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(self.timeout)
            self.sock.connect(str(self._path))
        except OSError:
            self.sock.close()
            raise

    def getresponse(self) -> http.client.HTTPResponse:
        """Return the answer once its head is there. Raises HTTPException where that was cut short.

        The library takes a head that ends early for a whole one. A whole one says how long its answer is, or that it
        comes in pieces.
        """
        response = super().getresponse()
        if response.length is None and not response.chunked:
            response.close()
            raise http.client.IncompleteRead(b"")
        return response


def reason(error: Exception) -> str:
    """Return why a request failed, as it stands behind a sentence."""
    if isinstance(error, TimeoutError):
        return ": it takes too long"
    strerror = getattr(error, "strerror", None)
    return f": {strerror}" if strerror else ""
