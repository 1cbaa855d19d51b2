"""The messages between a worker and its supervisor: packets of fixed heads and NUL-separated texts.

Both ends import this module; the supervisor's end starts with the bare standard library, so nothing heavy belongs here.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Requests.
SPAWN, END, LARGE = 1, 2, 3
#: Replies.
READY, SPAWNED, FAILED, EXITED, ENDED = 16, 17, 18, 19, 20

#: A request above this many bytes travels in a memory file, whose descriptor is the first that comes with it.
PACKET_LIMIT = 64 * 1024
#: The most descriptors that the kernel passes at once.
MAX_FDS = 253
#: The variable that names the attempt in its environment.
MARK_VARIABLE = "WINDLASS_ATTEMPT_MARK"

_OP_AND_NUMBER = struct.Struct("<BQ")
_SPAWN = struct.Struct("<BQIqqq?H")
_END = struct.Struct("<BQd")
_REPLIES = {
    READY: struct.Struct("<BQI"),  # how many processes of an earlier supervisor were killed; this one's pid
    SPAWNED: struct.Struct("<BQI"),  # number, pid
    FAILED: struct.Struct("<BQIH"),  # number, errno, length of the name that follows
    EXITED: struct.Struct("<BQidQ??"),  # number, status, CPU seconds, bytes, out of memory, nothing left
    ENDED: struct.Struct("<BQI"),  # number, processes that were killed
}


class Launch:
    """What to start, as it came over the wire; all texts are bytes."""

    __slots__ = ("argv", "cpu", "cwd", "env", "files", "mark", "memory", "number", "run_as", "stdin", "targets")

    def __init__(
        self,
        *,
        number: int,
        argv: list[bytes],
        env: list[bytes],
        cwd: bytes,
        mark: bytes,
        run_as: bytes,
        cpu: int,
        memory: int,
        files: int,
        stdin: bool,
        targets: Sequence[int],
    ) -> None:
        """Limits are -1 and `run_as` is empty where nothing is asked; `env` holds `NAME=value`.

        With the launch come descriptors in this order: standard output, standard error, standard input where `stdin`
        is true, then one for each of `targets`, the numbers that the child is to see.
        """
        self.number = number
        self.argv = argv
        self.env = env
        self.cwd = cwd
        self.mark = mark
        self.run_as = run_as
        self.cpu = cpu
        self.memory = memory
        self.files = files
        self.stdin = stdin
        self.targets = targets

    def pack(self) -> bytes:
        """Return the request's bytes. Raises ValueError where a text holds a NUL."""
        texts = (self.cwd, self.mark, self.run_as, *self.argv, *self.env)
        body = b"\0".join(texts)
        if body.count(b"\0") != len(texts) - 1:
            raise ValueError("embedded null byte")
        head = _SPAWN.pack(
            SPAWN, self.number, len(self.argv), self.cpu, self.memory, self.files, self.stdin, len(self.targets)
        )
        return head + struct.pack(f"<{len(self.targets)}I", *self.targets) + body

    @staticmethod
    def unpack(packet: bytes) -> Launch:
        """Return the launch that `pack` wrote."""
        _, number, argc, cpu, memory, files, stdin, count = _SPAWN.unpack_from(packet)
        targets = struct.unpack_from(f"<{count}I", packet, _SPAWN.size)
        cwd, mark, run_as, *rest = packet[_SPAWN.size + 4 * count :].split(b"\0")
        return Launch(
            number=number,
            argv=rest[:argc],
            env=rest[argc:],
            cwd=cwd,
            mark=mark,
            run_as=run_as,
            cpu=cpu,
            memory=memory,
            files=files,
            stdin=stdin,
            targets=targets,
        )


def pack_end(number: int, grace: float) -> bytes:
    """Return the request to end child `number`: SIGTERM first, SIGKILL after `grace` seconds, which may be 0."""
    return _END.pack(END, number, grace)


def unpack_end(packet: bytes) -> tuple[int, float]:
    """Return the number and the grace of `pack_end`."""
    _, number, grace = _END.unpack(packet)
    return number, grace


def pack_large() -> bytes:
    """Return the packet that stands for a request inside a memory file."""
    return _OP_AND_NUMBER.pack(LARGE, 0)


def pack_reply(op: int, number: int, *values: float, name: bytes = b"") -> bytes:
    """Return one reply; several may stand in one packet. `name` is for FAILED alone."""
    if op == FAILED:
        return _REPLIES[op].pack(op, number, *values, len(name)) + name
    return _REPLIES[op].pack(op, number, *values)


def unpack_replies(packet: bytes) -> Iterator[tuple[int, int, tuple[float, ...], bytes]]:
    """Yield (op, number, values, name) of each reply in `packet`."""
    at = 0
    while at < len(packet):
        head = _REPLIES[packet[at]]
        op, number, *values = head.unpack_from(packet, at)
        at += head.size
        name = b""
        if op == FAILED:
            length = values.pop()
            name = packet[at : at + length]
            at += length
        yield op, number, tuple(values), name
