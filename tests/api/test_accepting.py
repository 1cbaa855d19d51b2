"""Want of descriptors is one line of the log, and no other error is hidden by that."""

from __future__ import annotations

import asyncio
import errno
import os

import pytest

from windlass.api.accepting import tell_in_one_line


async def test_a_connection_that_cannot_be_taken_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    tell_in_one_line(loop)
    report = {
        "message": "socket.accept() out of system resource",
        "exception": OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
    }
    for _ in range(3):
        loop.call_exception_handler(report)
    (record,) = caplog.records
    assert "No new connection is taken for a while: Too many open files" in record.message
    assert record.exc_info is None
    loop.call_exception_handler({"message": "something else", "exception": ValueError("seen")})
    assert "something else" in caplog.text
    assert "ValueError: seen" in caplog.text


def test_asyncio_still_says_it_so() -> None:
    source = asyncio.selector_events.__file__
    with open(source) as file:  # noqa: PTH123 - a file of the standard library
        assert "'socket.accept() out of system resource'" in file.read()
