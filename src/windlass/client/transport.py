"""How a request reaches a Windlass: the contract that a socket and the same process both keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol


class Reply(Protocol):
    """An answer that has begun to arrive."""

    @property
    def status(self) -> int:
        """The status of HTTP."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Header values by lower-case name."""
        ...

    def read(self) -> bytes:
        """Return all of the body. Raises Unavailable where the connection breaks."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it comes. Raises Unavailable where the connection breaks."""
        ...

    def close(self) -> None:
        """Let go of the answer; what stands behind a stream ends. Closing twice is fine."""
        ...


class Transport(Protocol):
    """Carries one request after another."""

    def send(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        patience: float | None = None,
    ) -> Reply:
        """Send a request to `target` (path and query) and return its answer once that begins.

        It may take `patience` seconds to begin, or what is usual here; with `math.inf` as long as the server
        lives. Raises Unavailable where nobody answers.
        """
        ...

    def close(self) -> None:
        """Let go of everything. Closing twice is fine."""
        ...
