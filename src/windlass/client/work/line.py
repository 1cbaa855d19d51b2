"""Connections to a server that are kept and used again, for requests that may be sent twice."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson

from windlass.client.problem import error_of
from windlass.client.unix import UnixConnection, reason
from windlass.errors import ServerGone

#: Seconds that an answer may take.
PATIENCE: Final = 30.0
#: Connections that are kept while nothing uses them.
_KEPT: Final = 8
_BAD: Final = 400
_NO_CONTENT: Final = 204

#: Finds the server's socket; raises Unavailable where there is no server now.
Find = Callable[[], Path]


class Line:
    """Sends requests that may be repeated; may be used from any thread.

    A connection on which the server had hung up in the meantime is no failure: the request is sent on a new one.
    """

    def __init__(self, find: Find) -> None:
        """Ask `find` where the server is before each new connection: the next one may listen elsewhere."""
        self._find = find
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        self._open: set[http.client.HTTPConnection] = set()
        self._closed = False

    def call(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        patience: float = PATIENCE,
    ) -> Any:
        """Send a request and return the JSON of its answer, None where that has no body; blocks.

        `raw` is sent as it is. Raises ServerGone where nobody answers within `patience` seconds, and what the server
        says is wrong.
        """
        headers = {"accept": "application/json"}
        data = raw
        if raw is not None:
            headers["content-type"] = "application/octet-stream"
        elif body is not None:
            data = orjson.dumps(body)  # it takes what outputs may hold: dates, for one
            headers["content-type"] = "application/json"
        status, content = self._send(method, target, headers, data, patience)
        if status >= _BAD:
            raise error_of(status, _document(content))
        return None if status == _NO_CONTENT or not content else orjson.loads(content)

    def close(self) -> None:
        """Break every connection off: whoever waits for an answer is told so. Nothing can be sent afterwards."""
        with self._lock:
            self._closed = True
            connections = list(self._open)
        for connection in connections:
            if connection.sock is not None:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def _send(
        self, method: str, target: str, headers: Mapping[str, str], data: bytes | None, patience: float
    ) -> tuple[int, bytes]:
        while True:
            connection, used = self._connection(patience)
            try:
                connection.request(method, target, body=data, headers=dict(headers))
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self._drop(connection)
                if used and not isinstance(error, TimeoutError) and not self._closed:
                    continue
                raise ServerGone(f"The server does not answer{reason(error)}.") from None
            if answer.will_close:
                self._drop(connection)
            else:
                self._give_back(connection)
            return answer.status, content

    def _connection(self, patience: float) -> tuple[http.client.HTTPConnection, bool]:
        """Return a connection, and whether it was used before."""
        with self._lock:
            if self._closed:
                raise ServerGone("The connection to the server was closed here.")
            if self._idle:
                connection = self._idle.pop()
                if connection.sock is not None:
                    connection.sock.settimeout(patience)
                return connection, True
        path = self._find()
        connection = UnixConnection(path, patience)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise ServerGone(f"Nobody takes connections on {path}{reason(error)}.") from None
        with self._lock:
            self._open.add(connection)
        return connection, False

    def _give_back(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if len(self._idle) < _KEPT and not self._closed:
                self._idle.append(connection)
                return
        self._drop(connection)

    def _drop(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            self._open.discard(connection)
        connection.close()


def _document(content: bytes) -> Mapping[str, Any]:
    try:
        document = orjson.loads(content)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
