"""What /proc says about processes: parents, sessions, start times, environments."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_CHUNK = 65536
#: Looks at a chain of parents that changes all the time.
_LOOKS = 1000


class Process:
    """One process at the moment of a look; (pid, start) names it for good."""

    __slots__ = ("parent", "pid", "session", "start", "state")

    def __init__(self, *, pid: int, state: str, parent: int, session: int, start: int) -> None:
        """`start` counts clock ticks since the machine's start; `state` is the letter of ps(1)."""
        self.pid = pid
        self.state = state
        self.parent = parent
        self.session = session
        self.start = start


def process(pid: int) -> Process | None:
    """Return process `pid`, or None where there is none."""
    try:
        text = _read(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name stands in brackets and may itself hold brackets and spaces.
    fields = text[text.rindex(b")") + 2 :].split(b" ", 20)
    return Process(
        pid=pid, state=fields[0].decode(), parent=int(fields[1]), session=int(fields[3]), start=int(fields[19])
    )


def started_at(one: Process) -> float:
    """Return when a process started, in seconds since 1970, to within a second or so: clocks are set meanwhile."""
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + one.start / os.sysconf("SC_CLK_TCK")


def processes() -> dict[int, Process]:
    """Return every process that can be seen, by pid."""
    found = (process(int(name)) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - pathlib costs memory
    return {one.pid: one for one in found if one}


def descendants(roots: Iterable[int], table: Mapping[int, Process]) -> list[Process]:
    """Return the living processes of `roots` and below them, each once, parents first."""
    below: dict[int, list[Process]] = {}
    for one in table.values():
        below.setdefault(one.parent, []).append(one)
    tops = set(roots)
    found = [table[pid] for pid in tops if pid in table and table[pid].parent not in tops]
    seen: set[int] = set()
    for one in found:
        if one.pid not in seen:
            seen.add(one.pid)
            found.extend(below.get(one.pid, ()))
    return [one for one in dict.fromkeys(found) if one.state not in "ZX"]


def variable(pid: int, name: bytes) -> bytes | None:
    """Return the value of `name` in the environment that `pid` was started with, or None where it cannot be seen."""
    try:
        text = b"\0" + _read(f"/proc/{pid}/environ")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    _, found, rest = text.partition(b"\0" + name + b"=")
    return rest.partition(b"\0")[0] if found else None


def lineage(pid: int) -> list[Process]:
    """Return `pid` and all above it up to the first process of the machine or container, as they were at one moment.

    Empty where there is no such process. A parent that ends while we look leaves its children to another one, and its
    number may be given again: what counts is a chain that is found twice. It may end earlier at a process that /proc
    hides from us (`hidepid`): one that has ended would no longer be anybody's parent at the second look.
    """
    chain = _chain(pid)
    for _ in range(_LOOKS):
        before, chain = chain, _chain(pid)
        if list(map(_key, before)) == list(map(_key, chain)):
            return chain
    return []


def below_any(pid: int, above: Collection[tuple[int, int]]) -> bool:
    """Tell whether `pid` descends from any process of `above`, pairs of a pid and when it began; it is none of them."""
    return any((one.pid, one.start) in above for one in lineage(pid)[1:])


def in_group(pid: int, prefix: str) -> bool:
    """Tell whether `pid` is in a control group with a part of its path that begins with `prefix`."""
    try:
        return f"/{prefix}".encode() in _read(f"/proc/{pid}/cgroup")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def _chain(pid: int) -> list[Process]:
    """Return `pid` and those above it; it breaks off where one has ended meanwhile."""
    chain: list[Process] = []
    while pid > 0 and (one := process(pid)):
        chain.append(one)
        pid = one.parent
    return chain


def _key(one: Process) -> tuple[int, int, int]:
    return one.pid, one.start, one.parent


class Children:
    """The direct children of this process, cheaper than a look at all of /proc.

    The kernel's list is exact here because a child leaves it only when this very process reaps it.
    """

    __slots__ = ("_fd", "_pid")

    def __init__(self) -> None:
        """Open the kernel's list; without one (an old kernel) `pids` looks through /proc."""
        self._pid = os.getpid()
        try:
            self._fd = os.open(f"/proc/{self._pid}/task/{self._pid}/children", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._fd = -1

    def pids(self) -> set[int]:
        """Return the pids of all children, ended but unreaped ones too."""
        if self._fd < 0:
            return {one.pid for one in processes().values() if one.parent == self._pid}
        os.lseek(self._fd, 0, os.SEEK_SET)
        return set(map(int, _read_all(self._fd).split()))


def _read(path: str) -> bytes:
    """Return a whole file of /proc."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _read_all(fd)
    finally:
        os.close(fd)


def _read_all(fd: int) -> bytes:
    """Return everything from the present place of `fd` on."""
    text = b""
    while more := os.read(fd, _CHUNK):  # a short read is not the end: the kernel gives whole records
        text += more
    return text
