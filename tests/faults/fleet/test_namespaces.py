"""Machines have a network of their own, whose cable can be pulled; nothing of them is left."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.fleet import namespaces
from tests.faults.fleet.namespaces import Machine, Machines
from tests.oracle.crash import until

NAMESPACES = Path("/run/netns")
DEVICES = Path("/sys/class/net")
#: Connects, and says again what it hears, until it is told no more.
ECHO = """
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
connection.settimeout(None)
while data := connection.recv(100):
    connection.sendall(data)
"""


@pytest.fixture
def machine() -> Iterator[Machine]:
    with Machines() as machines:
        yield machines.make()


@pytest.fixture
def far_end(machine: Machine, tmp_path: Path) -> Iterator[socket.socket]:
    """Give a connection to a program on the machine that echoes."""
    with closing(socket.create_server((machine.home, 0))) as server:
        server.settimeout(20)
        command = [*machine.command, sys.executable, "-c", ECHO, machine.home, str(server.getsockname()[1])]
        with subprocess.Popen(command, cwd=tmp_path) as program:
            connection, (address, _) = server.accept()
            assert address == machine.address
            with closing(connection):
                yield connection
            program.kill()


def answers(connection: socket.socket, text: bytes, *, within: float) -> bool:
    """Say something, and whether it comes back in time."""
    connection.settimeout(within)
    connection.sendall(text)
    return hears(connection, text, within=within)


def hears(connection: socket.socket, text: bytes, *, within: float) -> bool:
    """Say whether something arrives in time."""
    connection.settimeout(within)
    found = b""
    try:
        while len(found) < len(text):
            found += connection.recv(len(text) - len(found))
    except TimeoutError:
        return False
    return found == text


def test_a_cable_that_is_pulled_carries_nothing_until_it_is_in_again(machine: Machine, far_end: socket.socket) -> None:
    assert answers(far_end, b"one", within=20)
    machine.pull()
    assert not answers(far_end, b"two", within=0.3)
    machine.plug()
    assert hears(far_end, b"two", within=30)


@pytest.mark.parametrize("ways", [{"there": True, "back": True}, {"there": False}, {"back": False}])
def test_packets_that_vanish_are_sent_again_once_they_arrive(
    machine: Machine, far_end: socket.socket, ways: dict[str, bool]
) -> None:
    assert answers(far_end, b"one", within=20)
    machine.lose(**ways)
    assert not answers(far_end, b"two", within=0.3)
    machine.find()
    assert hears(far_end, b"two", within=30)


def test_a_machine_has_nothing_of_this_one_but_the_cable(machine: Machine, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        program = f"import socket; socket.create_connection(('127.0.0.1', {port}), timeout=5)"
        command = [*machine.command, sys.executable, "-c", program]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30)
    assert "ConnectionRefusedError" in done.stderr


def test_nothing_of_machines_is_left() -> None:
    with Machines() as machines:
        found = [machines.make() for _ in range(3)]
        assert {one.name for one in found} <= names()
    assert not {one.name for one in found} & names()
    cables = {f"wl{one.name.removeprefix('wl-').replace('-', '')}" for one in found}
    until(lambda: not cables & {one.name for one in DEVICES.iterdir()}, "the end of the cables")


def names() -> set[str]:
    """Return the names of all namespaces."""
    return {one.name for one in NAMESPACES.iterdir()}


def test_who_may_not_make_them_is_told_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces.os, "geteuid", lambda: 1000)
    with pytest.raises(AssertionError, match="run this test as root"), Machines() as machines:
        machines.make()
