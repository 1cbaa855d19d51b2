"""What a server says when it can take no connection for want of descriptors: one line a minute, no traceback."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Final

_log = logging.getLogger(__name__)

#: How asyncio begins its report; it tries again each second.
_REPORT: Final = "socket.accept() out of system resource"
#: Seconds for which one line is enough.
_PAUSE: Final = 60.0


def tell_in_one_line(loop: asyncio.AbstractEventLoop) -> None:
    """Let `loop` say in one line, and not each second, that it can take no connection; all else as before."""
    last: float | None = None

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal last
        if not str(context.get("message", "")).startswith(_REPORT):
            loop.default_exception_handler(context)
            return
        now = time.monotonic()
        if last is None or now - last >= _PAUSE:
            last = now
            reason = getattr(context.get("exception"), "strerror", None) or "no room for it"
            _log.error("No new connection is taken for a while: %s; what is connected goes on", reason)

    loop.set_exception_handler(handle)
