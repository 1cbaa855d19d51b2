"""The API on the Unix socket of the process that owns the store: only for its own user, and not for steps."""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from windlass.api.asgi import BREAK_OFF, Api, Receive, Scope, Send
from windlass.api.dispatch import encoded
from windlass.api.message import local_admin, user_name
from windlass.api.problem import problem_of
from windlass.api.table import RouteTable
from windlass.errors import Refused, Unavailable, WindlassError
from windlass.supervisor import procfs
from windlass.supervisor.procfs import Process

#: Name under which a scope's extensions hold the process at the other end.
_PEER: Final = "windlass.peer"
_CREDENTIALS: Final = struct.Struct("3i")
#: SO_PEERPIDFD of asm-generic/socket.h, Linux 6.5 and later: a descriptor of the process that connected.
_PEER_PIDFD: Final = 77
_BACKLOG: Final = 128
#: Errors that say nothing of who asks: there is no descriptor to look with.
_SHORT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
#: Bytes of a request's head.
_LARGEST_HEAD: Final = 64 * 1024

IsStepDescendant = Callable[[int], bool]


class SocketServer:
    """Serves an engine on a Unix socket from `start` to `stop`."""

    def __init__(self, table: RouteTable, engine: Any, path: Path, is_step_descendant: IsStepDescendant) -> None:
        """Serve on `path`; a peer for which `is_step_descendant(pid)` is true is a step and gets nothing.

        It may raise ProcessLookupError for a process that has ended, and Unavailable while it cannot tell.
        """
        principal = local_admin(user_name())
        self._api = Api(table, engine, lambda scope: replace(principal, pid=scope.get("extensions", {}).get(_PEER)))
        self._path = path
        self._is_step_descendant = is_step_descendant
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; requests are answered when this returns.

        The caller owns the store, so that a file which lies at `path` is a dead owner's and is replaced.
        """
        listening = _bind(self._path)
        config = Config(
            self._api,
            http=self._protocol(),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            h11_max_incomplete_event_size=_LARGEST_HEAD,
            timeout_graceful_shutdown=5,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]), name="windlass-socket")
        while not self._server.started:
            if self._serving.done():
                await self._serving
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """Take no more requests, finish those under way, end streams; a second call does nothing."""
        server, serving = self._server, self._serving
        self._server = self._serving = None
        if server is None or serving is None:
            return
        with suppress(FileNotFoundError):
            self._path.unlink()
        self._api.end_streams()
        server.should_exit = True
        await serving

    def _protocol(self) -> type[H11Protocol]:
        is_step_descendant = self._is_step_descendant

        class PeerProtocol(H11Protocol):
            """HTTP for peers that pass; the others are told why not."""

            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                why = refusal(transport.get_extra_info("socket"), is_step_descendant)
                peer = transport.get_extra_info("socket")
                self.app = _of_peer(self.app, transport.abort, peer_pid(peer)) if why is None else _refuse(why)
                super().connection_made(transport)

        return PeerProtocol


def refusal(peer: Any, is_step_descendant: IsStepDescendant) -> WindlassError | None:
    """Return why the process at the other end of a Unix socket may not speak to us; None where it may.

    Only a process that lives can be looked at: one that has ended meanwhile is refused, whoever it was.
    """
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    if uid != os.geteuid():
        return Refused("This store belongs to another user.")
    try:
        with _watched(peer, pid) as lives:
            if is_step_descendant(pid):
                return Refused(
                    "A step may not use the store that runs it; give it a token and the address of a server."
                )
            if lives():
                return None
    except ProcessLookupError:
        pass
    except OSError as error:
        return Unavailable(f"The server cannot look at who asks ({error.strerror}); try again in a moment.")
    except Unavailable as error:
        return Unavailable(f"Nobody can tell now whether this request comes from a step: {error}.")
    return Refused("The process that asked has ended, so that nobody can tell whether it was a step's.")


@contextmanager
def _watched(peer: Any, pid: int) -> Iterator[Callable[[], bool]]:
    """Give a way to ask whether the very process that connected still lives. Raises ProcessLookupError."""
    try:
        fd = peer.getsockopt(socket.SOL_SOCKET, _PEER_PIDFD)
    except OSError as error:
        if error.errno in _SHORT:
            raise
        if error.errno != errno.ENOPROTOOPT:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH)) from None
        # Linux before 6.5: whoever has this number now stands for whoever connected.
        before = procfs.process(pid)
        yield lambda: _same(before, procfs.process(pid))
        return
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        yield lambda: not poll.poll(0)
    finally:
        os.close(fd)


def _same(before: Process | None, after: Process | None) -> bool:
    return before is not None and after is not None and after.state not in "ZX" and before.start == after.start


def peer_pid(peer: Any) -> int | None:
    """Return the process that connected; None where it cannot be seen from here."""
    pid, _, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid or None


def _of_peer(app: Any, abort: Callable[[], None], pid: int | None) -> Any:
    """Return `app` for one peer, able to break its connection off where an answer cannot be ended in good order."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "extensions": {BREAK_OFF: abort, _PEER: pid}}, receive, send)

    return application


def _refuse(why: WindlassError) -> Any:
    async def application(_: Scope, __: Receive, send: Send) -> None:
        answer = problem_of(why)
        headers = [(b"content-type", answer.media.encode()), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": encoded(answer)})

    return application


class _Server(Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the program that serves."""
        yield


def _bind(path: Path) -> socket.socket:
    """Listen on `path` with a file that only its owner may open."""
    with suppress(FileNotFoundError):
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(before)
    listening.listen(_BACKLOG)
    listening.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    return listening
