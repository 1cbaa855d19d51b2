"""The warm process behind the step type `python`: waits for calls on descriptor 3 and runs one at a time.

Started by its path with the interpreter of the user's choice. A message is its length in four bytes and JSON; a call
comes with two descriptors, for standard output and error.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

_CHANNEL = 3
_HEADER = struct.Struct(">I")
#: A larger result is refused here, so that the worker never has to read one.
_LARGEST = 1024 * 1024
#: What is the runner's own in the environment; all else comes with each call.
_OWN = "WINDLASS_ATTEMPT_MARK"


class Stopped(BaseException):
    """The worker asked for the end (SIGTERM)."""


class Progress:
    """What a step gets to report how far it is; works with and without `await`."""

    def __init__(self, channel: Channel) -> None:
        """Report over `channel`."""
        self._channel = channel
        #: True once the attempt is to stop.
        self.cancelled = False

    def __call__(self, percent: float | None = None, message: str | None = None) -> Progress:
        """Report percent done (0 to 100) and what is going on."""
        text = None if message is None else str(message)[:2000]
        self._channel.send({"progress": [None if percent is None else float(percent), text]})
        return self

    def __await__(self) -> Any:
        """Have nothing more to do."""
        return iter(())


class Channel:
    """The socket to the worker."""

    def __init__(self) -> None:
        """Take over the descriptor, so that children do not get it."""
        self._socket = socket.socket(fileno=_CHANNEL)
        self._socket.set_inheritable(False)
        self._sending = threading.Lock()

    def receive(self) -> tuple[dict[str, Any], list[int]]:
        """Return the next call and its descriptors; ends the process where the worker has hung up."""
        header, fds, _, _ = socket.recv_fds(self._socket, _HEADER.size, 2)
        for fd in fds:
            os.set_inheritable(fd, False)  # noqa: FBT003 - the standard library has no other form
        header += self._exactly(_HEADER.size - len(header)) if header else b""
        if len(header) < _HEADER.size:
            raise SystemExit(0)
        call: dict[str, Any] = json.loads(self._exactly(_HEADER.unpack(header)[0]))
        return call, fds

    def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        body = json.dumps(message).encode()
        if len(body) > _LARGEST:
            text = "the result is larger than outputs may be"
            body = json.dumps({**message, "value": None, "failure": "error", "message": text}).encode()
        with self._sending:
            self._socket.sendall(_HEADER.pack(len(body)) + body)

    def _exactly(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self._socket.recv(size - len(parts))
            if not part:
                raise SystemExit(0)
            parts += part
        return bytes(parts)


class Runner:
    """Serves calls until it is told to end, or is no longer fit for another one."""

    def __init__(self, channel: Channel, calling: Any) -> None:
        """Serve `channel`; `calling` is the module that makes the calls."""
        self._channel = channel
        self._calling = calling
        self._own = os.environ.get(_OWN)
        self._streams: Any = (sys.stdout, sys.stderr)
        self._path = list(sys.path)
        self._umask = os.umask(0)
        os.umask(self._umask)
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._before = frozenset(sys.modules)
        self._sources: dict[str, tuple[int, int]] = {}
        self._folder = ""
        self._progress: Progress | None = None

    def serve(self) -> NoReturn:
        """Take one call after the other."""
        while True:
            call, fds = self._channel.receive()
            if self._is_stale(call["cwd"]):
                self._channel.send({"stale": True})
                raise SystemExit(0)
            self._channel.send({"started": True})
            answer = self._serve_one(call, fds)
            self._channel.send(answer)
            if answer.get("failure") == "stopped":
                raise SystemExit(0)

    def _serve_one(self, call: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        for target, fd in enumerate(fds, start=1):
            os.dup2(fd, target)
            os.close(fd)
        for stream in self._streams:
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
        self._enter(call)
        used = _usage()
        try:
            answer = self._run(call)
        finally:
            for stream in (sys.stdout, sys.stderr, *self._streams):
                with suppress(Exception):
                    stream.flush()
            sys.stdout, sys.stderr = self._streams
            os.dup2(self._null, 1)
            os.dup2(self._null, 2)
        now = _usage()
        self._note_sources()
        reusable = _is_alone() and not any(stream.closed for stream in self._streams)
        return {"done": True, "cpu": now[0] - used[0], "rss": now[1], "reusable": reusable, **answer}

    def _run(self, call: dict[str, Any]) -> dict[str, Any]:
        prepared = None
        self._progress = progress = Progress(self._channel)
        try:
            target = self._calling.find(call["function"])
            prepared = self._calling.prepare(
                target, call["function"], call["arguments"], progress, chosen=call["chosen"]
            )
            value = prepared.start()
            if hasattr(value, "__await__"):
                value = _run_async(value, progress)
            return {"value": self._calling.outputs_of(prepared, value)}
        except Stopped:
            return {"failure": "stopped", "message": "it was stopped"}
        except SystemExit as error:
            if error.code in (None, 0):
                return {"value": {}}
            code = error.code if isinstance(error.code, int) else 1
            if not isinstance(error.code, int):
                print(error.code, file=sys.stderr)  # noqa: T201 - as the interpreter itself does
            return {"failure": "exit", "message": f"it ended with exit code {code}", "code": code & 0xFF}
        except BaseException as error:  # noqa: BLE001 - whatever the step raises is its failure
            return self._failed(prepared, call, error)
        finally:
            self._progress = None

    def _failed(self, prepared: Any, call: dict[str, Any], error: BaseException) -> dict[str, Any]:
        may_retry, delay = True, None
        if not isinstance(error, self._calling.Refused):
            self._print_error(error)
            try:
                may_retry, delay = self._calling.after_failure(prepared, call["attempt"], error)
            except Exception as second:  # noqa: BLE001 - a broken hook leaves it to the policy
                self._print_error(second)
        text = self._calling.error_text(error)
        return {"failure": "error", "message": text, "may_retry": may_retry, "retry_after": delay}

    def _print_error(self, error: BaseException) -> None:
        import traceback  # noqa: PLC0415 - only errors need it

        own = {__file__, self._calling.__file__}
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename in own:
            trace = trace.tb_next
        try:
            traceback.print_exception(type(error), error, trace)
        except Exception:  # noqa: BLE001 - the error's own text may be broken
            print("the error cannot be shown", file=sys.stderr)  # noqa: T201 - the step's standard error

    def _enter(self, call: dict[str, Any]) -> None:
        os.environ.clear()
        os.environ.update(call["env"])
        if self._own is not None:
            os.environ[_OWN] = self._own
        time.tzset()
        # What an earlier call has changed for all of its process.
        sys.path[:] = self._path
        os.umask(self._umask)
        signal.signal(signal.SIGTERM, self._on_term)
        os.chdir(call["cwd"])
        self._folder = call["cwd"]
        sys.argv = [call["function"]]

    def _is_stale(self, folder: str) -> bool:
        """Say whether code that is loaded is not what another process would load now."""
        for path, known in self._sources.items():
            if _stamp(path) != known or (folder != self._folder and path.startswith(self._folder + os.sep)):
                return True
        return False

    def _note_sources(self) -> None:
        for name in set(sys.modules) - self._before:
            path = getattr(sys.modules.get(name), "__file__", None)
            if isinstance(path, str) and path not in self._sources:
                self._sources[path] = _stamp(path)

    def _on_term(self, _number: int, _frame: FrameType | None) -> None:
        if self._progress is None:
            os._exit(0)
        self._progress.cancelled = True
        raise Stopped


def _run_async(awaitable: Any, progress: Progress) -> Any:
    import asyncio  # noqa: PLC0415 - most functions need none

    async def run() -> Any:
        task = asyncio.ensure_future(awaitable)

        def stop() -> None:
            progress.cancelled = True
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
        try:
            return await task
        except asyncio.CancelledError:
            if progress.cancelled:
                raise Stopped from None
            raise

    handler = signal.getsignal(signal.SIGTERM)
    try:
        return asyncio.run(run())
    finally:
        signal.signal(signal.SIGTERM, handler)


def _is_alone() -> bool:
    """Say whether the call left no thread and no child behind."""
    if threading.active_count() > 1:
        return False
    try:
        children = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()
    except OSError:
        return True
    return not children.strip()


def _stamp(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - faster, and called for every module
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


def _usage() -> tuple[float, int]:
    import resource  # noqa: PLC0415 - not on every system

    own, below = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + below.ru_utime + below.ru_stime, max(own.ru_maxrss, below.ru_maxrss) * 1024


def main() -> NoReturn:
    """Prepare the interpreter and serve calls."""
    # A step's modules are found as those of `python -m` are: in the folder that it starts in.
    sys.path[0] = ""
    root = str(Path(__file__).parents[2])
    known = root in sys.path
    sys.path.append(root)
    from windlass.steps import python_call  # noqa: PLC0415 - while the folder of this package is on the path

    sys.path.pop()
    if not known:
        # Another interpreter may have a `windlass` of its own, or none: what a step imports is its affair.
        for name in [name for name in sys.modules if name.partition(".")[0] == "windlass"]:
            del sys.modules[name]
    Runner(Channel(), python_call).serve()


if __name__ == "__main__":
    main()
