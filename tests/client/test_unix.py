"""Answers over the socket of a server that end early are no answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from windlass.client.client import Client
from windlass.client.unix import UnixTransport
from windlass.client.work.line import Line
from windlass.errors import ServerGone

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\nserver: x\r\n\r\n"
ANSWER = HEAD + b'{"alive":1}'


@contextmanager
def server_that_says(said: bytes, folder: Path) -> Iterator[Path]:
    """Give the socket of a server that answers one request with some bytes and hangs up."""
    path = folder / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(20)

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        yield path
        thread.join(20)


def by_client(path: Path) -> object:
    """Ask as commands do."""
    return Client(UnixTransport(path)).get("x")


def by_line(path: Path) -> object:
    """Ask as workers do."""
    return Line(lambda: path).call("GET", "/")


@pytest.mark.fault("F8")
@pytest.mark.parametrize("size", [0, 5, 17, 30, 50, 60, len(HEAD) - 1, len(HEAD), len(ANSWER) - 1])
@pytest.mark.parametrize("ask", [by_client, by_line])
def test_an_answer_that_is_cut_anywhere_says_that_the_server_is_gone(
    tmp_path: Path, size: int, ask: Callable[[Path], object]
) -> None:
    with server_that_says(ANSWER[:size], tmp_path) as path, pytest.raises(ServerGone):
        ask(path)


def test_an_answer_that_is_whole_is_read(tmp_path: Path) -> None:
    with server_that_says(ANSWER, tmp_path) as path:
        assert Client(UnixTransport(path)).get("x") == {"alive": 1}
