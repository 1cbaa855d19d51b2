"""The proxy does to connections what it says, and nothing else."""

from __future__ import annotations

import gc
import hashlib
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.faults.fleet.proxy import Address, Proxy
from tests.faults.fleet.weather import DRIP, STALLED, SWALLOWED, Weather
from tests.oracle.crash import until

SEED = int(os.environ.get("TESTS_FAULT_SEED") or random.SystemRandom().randrange(2**32))
Connect = Callable[[], socket.socket]


class Echo:
    """A server that says again what it is told, until it is told no more."""

    def __init__(self, address: Address) -> None:
        """Listen at `address`."""
        self.heard = 0
        family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET
        self._server = socket.socket(family, socket.SOCK_STREAM)
        self._server.bind(str(address) if isinstance(address, Path) else address)
        self._server.listen()
        self.address: Address = address if isinstance(address, Path) else self._server.getsockname()
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection = self._server.accept()[0]
                self._threads.append(threading.Thread(target=self._speak, args=(connection,)))
                self._threads[-1].start()

    def _speak(self, connection: socket.socket) -> None:
        with closing(connection), suppress(OSError):
            while data := connection.recv(65536):
                self.heard += len(data)
                connection.sendall(data)

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for one in self._threads:
            one.join(20)


@pytest.fixture(params=["tcp", "unix"])
def echo(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Echo]:
    found = Echo(tmp_path / "echo" if request.param == "unix" else ("127.0.0.1", 0))
    yield found
    found.close()


@pytest.fixture
def proxy(echo: Echo, tmp_path: Path) -> Iterator[Proxy]:
    listen = tmp_path / "proxy" if isinstance(echo.address, Path) else ("127.0.0.1", 0)
    with Proxy(echo.address, seed=SEED, listen=listen) as found:
        print(f"TESTS_FAULT_SEED={SEED}")  # noqa: T201 - shown where the test fails
        yield found


@pytest.fixture
def connect(proxy: Proxy) -> Iterator[Connect]:
    made: list[socket.socket] = []

    def make() -> socket.socket:
        address = proxy.address
        found = socket.socket(socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET, socket.SOCK_STREAM)
        found.settimeout(20)
        try:
            found.connect(str(address) if isinstance(address, Path) else address)
        except OSError:
            found.close()  # whoever tries again and again would have no descriptor left
            raise
        made.append(found)
        return found

    yield make
    for one in made:
        one.close()


def told(connection: socket.socket, size: int) -> bytes:
    """Read so many bytes, or less where the connection ends before."""
    found = b""
    while len(found) < size and (data := connection.recv(size - len(found))):
        found += data
    return found


def test_bytes_arrive_whole_and_in_order_in_any_weather_that_loses_none(proxy: Proxy, connect: Connect) -> None:
    weather = Weather(delay=0.001, jitter=0.005, piece=1000)
    proxy.set(there=weather, back=weather)
    sent = random.Random(SEED).randbytes(100_000)  # noqa: S311 - bytes that come again
    connection = connect()
    threading.Thread(target=lambda: (connection.sendall(sent), connection.shutdown(socket.SHUT_WR))).start()
    found = told(connection, len(sent) + 1)  # to its end, which arrives as well
    assert hashlib.sha256(found).digest() == hashlib.sha256(sent).digest()
    assert proxy.arrived == {"there": len(sent), "back": len(sent)}


def test_what_is_delayed_takes_its_time(proxy: Proxy, connect: Connect) -> None:
    proxy.set(there=Weather(delay=0.1), back=Weather(delay=0.2))
    connection = connect()
    begun = time.monotonic()
    connection.sendall(b"hello")
    assert told(connection, 5) == b"hello"
    assert time.monotonic() - begun >= 0.3


def test_what_drips_arrives_in_small_pieces(proxy: Proxy, connect: Connect) -> None:
    proxy.set(back=DRIP)
    connection = connect()
    connection.sendall(b"x" * 70)
    assert 0 < len(connection.recv(70)) <= 7
    assert told(connection, 63) == b"x" * 63


def test_what_is_stalled_arrives_once_that_has_passed(echo: Echo, proxy: Proxy, connect: Connect) -> None:
    connection = connect()
    connection.sendall(b"a")
    assert told(connection, 1) == b"a"
    proxy.set(back=STALLED)
    connection.sendall(b"b")
    until(lambda: echo.heard == 2, "the request that arrives")  # one way alone is stalled
    connection.settimeout(0.2)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    proxy.heal()
    connection.settimeout(20)
    assert told(connection, 1) == b"b"


def test_a_half_open_connection_loses_bytes_and_news_and_is_reset_when_it_heals(
    echo: Echo, proxy: Proxy, connect: Connect
) -> None:
    connection = connect()
    connection.sendall(b"a")
    assert told(connection, 1) == b"a"
    proxy.set(there=SWALLOWED, back=SWALLOWED)
    connection.sendall(b"bcd")
    until(lambda: proxy.lost["there"] == 3, "the loss")
    assert echo.heard == 1
    proxy.heal()
    assert ended(connection)
    again = connect()
    again.sendall(b"e")
    assert told(again, 1) == b"e"


def ended(connection: socket.socket) -> bool:
    """Say whether a connection has come to its end, good or bad."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_connections_are_cut_and_reset(proxy: Proxy, connect: Connect) -> None:
    first = connect()
    first.sendall(b"a")
    assert told(first, 1) == b"a"
    proxy.cut()
    assert first.recv(1) == b""
    second = connect()
    second.sendall(b"a")
    assert told(second, 1) == b"a"
    proxy.reset()
    if isinstance(proxy.address, Path):
        assert second.recv(1) == b""
    else:
        with pytest.raises(ConnectionResetError):
            second.recv(1)
    until(lambda: proxy.living == 0, "the end of all connections")
    assert proxy.taken == 2


def test_a_connection_breaks_after_so_many_bytes_of_the_answer(echo: Echo, proxy: Proxy, connect: Connect) -> None:
    proxy.set(back=Weather(breaks_after=3))
    connection = connect()
    connection.sendall(b"abcdef")
    with suppress(ConnectionResetError):
        assert b"abc".startswith(told(connection, 6))
    assert echo.heard == 6
    assert proxy.arrived == {"there": 6, "back": 0}


def test_nobody_listens_while_it_refuses(proxy: Proxy, connect: Connect) -> None:
    first = connect()
    first.sendall(b"a")
    assert told(first, 1) == b"a"
    proxy.refuse()
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        connect()
    first.sendall(b"b")
    assert told(first, 1) == b"b"
    proxy.accept()
    again = connect()
    again.sendall(b"c")
    assert told(again, 1) == b"c"


def test_whoever_comes_at_the_moment_in_which_it_refuses_is_taken_or_not_and_never_forgotten(
    proxy: Proxy, connect: Connect
) -> None:
    def come() -> None:
        while not over.is_set():
            with suppress(OSError), closing(connect()) as connection:
                connection.settimeout(0.05)
                connection.recv(1)

    over = threading.Event()
    threads = [threading.Thread(target=come) for _ in range(4)]
    for one in threads:
        one.start()
    try:
        for _ in range(100):
            proxy.refuse()
            proxy.accept()
            proxy.reset()
    finally:
        over.set()
        for one in threads:
            one.join(20)
    gc.collect()  # a socket that is forgotten fails the test here
