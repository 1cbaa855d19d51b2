"""Machines on one machine: network namespaces with a cable each to the one that the test runs in.

A program in a namespace sees a network of its own. Its cable can be pulled: packets are dropped then in both
directions, as between machines, and nobody is told. Only root can make them.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

#: Most of them beside each other: each takes a network of four addresses out of `_NETWORK`.
MOST: Final = 16
_NETWORK: Final = "10.213"
_PATIENCE: Final = 20
#: The end of a cable that is in a namespace.
_FAR: Final = "far"
#: Where packets go that nobody is to get.
_NOWHERE: Final = "02:00:00:00:de:ad"


@dataclass(frozen=True, slots=True)
class Machine:
    """A namespace."""

    name: str
    #: Its address.
    address: str
    #: The address under which it reaches the machine that the test runs on.
    home: str
    #: The device of this side.
    _cable: str

    @property
    def command(self) -> list[str]:
        """What stands before a command that is to run there."""
        return ["ip", "netns", "exec", self.name]

    def pull(self) -> None:
        """Pull the cable: nothing arrives any more, and this side's own machine knows that."""
        _ip("link", "set", self._cable, "down")

    def plug(self) -> None:
        """Put the cable in again."""
        _ip("link", "set", self._cable, "up")

    def lose(self, *, there: bool = True, back: bool = True) -> None:
        """Let packets vanish, and tell nobody: those that come from the machine (`there`), those that go to it."""
        if there:
            _ip("-n", self.name, "neigh", "replace", self.home, "lladdr", _NOWHERE, "dev", _FAR, "nud", "permanent")
        if back:
            _ip("neigh", "replace", self.address, "lladdr", _NOWHERE, "dev", self._cable, "nud", "permanent")

    def find(self) -> None:
        """Let all packets arrive again."""
        for inside, address, device in ((["-n", self.name], self.home, _FAR), ([], self.address, self._cable)):
            _ip(*inside, "neigh", "flush", "to", address, "dev", device, "nud", "permanent")


class Machines:
    """Makes machines and removes them all at the end; a context manager."""

    def __init__(self) -> None:
        """Prepare; nothing is made yet."""
        self._mark = secrets.token_hex(3)
        self._left = ExitStack()
        self._made = 0

    def __enter__(self) -> Self:
        """Return itself. Fails where this process may not make namespaces."""
        require_root()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove everything."""
        self.close()

    def make(self) -> Machine:
        """Return a new machine with its cable in."""
        assert self._made < MOST, f"{MOST} machines are enough"
        # The second half of the mark keeps two suites at once apart.
        block = (int(self._mark[:2], 16) * MOST + self._made) % (256 * 64)
        third, fourth = divmod(block, 64)
        self._made += 1
        name, near = f"wl-{self._mark}-{self._made}", f"wl{self._mark}{self._made}"
        home, address = (f"{_NETWORK}.{third}.{fourth * 4 + last}" for last in (1, 2))
        _ip("netns", "add", name)
        self._left.callback(_ip, "netns", "del", name)
        _ip("link", "add", near, "type", "veth", "peer", "name", _FAR, "netns", name)
        self._left.callback(_ip, "link", "del", near)
        _ip("addr", "add", f"{home}/30", "dev", near)
        _ip("link", "set", near, "up")
        for device in ("lo", _FAR):
            _ip("-n", name, "link", "set", device, "up")
        _ip("-n", name, "addr", "add", f"{address}/30", "dev", _FAR)
        return Machine(name, address, home, near)

    def close(self) -> None:
        """Remove all namespaces, and with them their cables."""
        self._left.close()


def require_root() -> None:
    """Fail with a sentence that says what is needed where namespaces cannot be made."""
    allowed = os.geteuid() == 0 and shutil.which("ip") is not None and shutil.which("unshare") is not None
    if allowed:
        command = [_program("unshare"), "--net", "true"]
        allowed = subprocess.run(command, capture_output=True, check=False, timeout=_PATIENCE).returncode == 0
    assert allowed, (
        "Network namespaces take root with CAP_SYS_ADMIN and CAP_NET_ADMIN, and the programs ip and unshare: run this "
        "test as root (sudo make test), in a container with --privileged, after `apt-get install iproute2 util-linux`."
    )


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found is not None
    return found


def _ip(*arguments: str) -> None:
    done = subprocess.run([_program("ip"), *arguments], capture_output=True, text=True, check=False, timeout=_PATIENCE)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr.strip()}"
