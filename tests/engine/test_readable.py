"""What cannot be read is told of and passed over; trouble of the store itself is not."""

from __future__ import annotations

import sqlite3

import pytest

from windlass.engine.readable import readable


def test_what_can_be_read_is_returned() -> None:
    assert readable("The number", int, "7") == 7


def test_what_cannot_be_read_is_told_of_with_its_error(caplog: pytest.LogCaptureFixture) -> None:
    assert readable("The number", int, "seven") is None
    (record,) = caplog.records
    assert record.getMessage() == "The number cannot be read and is passed over"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


def test_trouble_of_the_store_is_raised() -> None:
    def read() -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(sqlite3.OperationalError, match="disk"):
        readable("The row", read)
