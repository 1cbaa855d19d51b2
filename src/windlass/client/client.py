"""The one way commands speak to Windlass: requests with JSON, pages, and streams of events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

from windlass.client.events import ServerEvent, server_events
from windlass.client.problem import error_of
from windlass.client.transport import Reply, Transport
from windlass.errors import UserError

ROOT: Final = "/api/v1/"
_BAD: Final = 400
#: Items asked for at once where a list is read to its end: the most there are on a page.
_PAGE: Final = 200
#: What stands in a query: nothing where None; a list gives several parameters of the same name.
Values = Mapping[str, Any]


class Client:
    """Speaks to `/api/v1` over a transport; errors are those of `windlass.errors`."""

    def __init__(self, transport: Transport, headers: Mapping[str, str] | None = None, *, idle: bool = False) -> None:
        """Take a transport, and headers for every request.

        `idle` says that the store is open for this client alone and nobody works on runs meanwhile: no wait would end.
        Where others share the store, or own it, `executor/status` says who works.
        """
        self.idle = idle
        self._transport = transport
        self._headers = dict(headers or {})

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the transport."""
        self.close()

    def get(self, *path: str, **query: Any) -> Any:
        """Return what a resource says. `path` is its segments, unquoted."""
        return self.call("GET", path, query=query)

    def post(self, *path: str, body: Any = None, **query: Any) -> Any:
        """Send JSON and return the answer's."""
        return self.call("POST", path, query=query, body=body)

    def delete(self, *path: str, **query: Any) -> Any:
        """Delete a resource and return what the answer says."""
        return self.call("DELETE", path, query=query)

    def call(
        self,
        method: str,
        path: Sequence[str],
        *,
        query: Values | None = None,
        body: Any = None,
        headers: Values | None = None,
        patience: float | None = None,
    ) -> Any:
        """Send one request and return the JSON of its answer, None where that has no body.

        It may take `patience` seconds to begin; see `Transport.send`.
        """
        reply = self._send(method, path, query or {}, body, headers or {}, patience)
        text = reply.read()
        return json.loads(text) if text else None

    def pages(self, *path: str, most: int | None = None, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield the items of a list page by page, at most `most` of them."""
        cursor = None
        left = most
        while True:
            page = self.get(*path, **query, cursor=cursor, limit=_PAGE if left is None else min(left, _PAGE))
            for item in page["items"]:
                if left == 0:
                    return
                yield item
                left = None if left is None else left - 1
            cursor = page.get("next")
            if cursor is None or left == 0:
                return

    def read(self, *path: str, **query: Any) -> Iterator[bytes]:
        """Yield the bytes of a resource as they come."""
        return self._send("GET", path, query, None, {"accept": "*/*"}).chunks()

    def events(self, *path: str, last_event_id: str | None = None, **query: Any) -> Iterator[ServerEvent]:
        """Yield server-sent events until the server ends the stream; start behind `last_event_id`.

        What the stream breaks with is raised as if the request had.
        """
        headers = {"accept": "text/event-stream"}
        if last_event_id is not None:
            headers["last-event-id"] = last_event_id
        reply = self._send("GET", path, query, None, headers)
        try:
            for event in server_events(reply.chunks()):
                if event.type == "problem":
                    document = event.json()
                    raise error_of(int(document["status"]), document)
                yield event
        finally:
            reply.close()

    def close(self) -> None:
        """Close the transport."""
        self._transport.close()

    def _send(
        self,
        method: str,
        path: Sequence[str],
        query: Values,
        body: Any,
        headers: Values,
        patience: float | None = None,
    ) -> Reply:
        pairs = [(name, item) for name, value in query.items() for item in _items(value)]
        sent = {"accept": "application/json"} | self._headers | dict(headers)
        data = None
        try:
            target = ROOT + "/".join(quote(segment, safe="") for segment in path)
            if pairs:
                target += "?" + urlencode(pairs)
            if body is not None:
                data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
                sent["content-type"] = "application/json"
        except UnicodeEncodeError as error:
            wrong = ascii(error.object[error.start : error.end + 20])[1:-1]
            raise UserError(f"The request holds bytes that are not UTF-8: {wrong}.") from None
        reply = self._transport.send(method, target, sent, data, patience=patience)
        if reply.status >= _BAD:
            raise error_of(reply.status, _document(reply))
        return reply


def _items(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, list | tuple):
        return [str(item) for item in value]
    return [str(value)]


def _document(reply: Reply) -> Mapping[str, Any]:
    try:
        document = json.loads(reply.read())
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
