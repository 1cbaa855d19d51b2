"""Output that waits: in order, in memory and then in a file, whatever the disk does."""

from __future__ import annotations

import random
from collections import deque
from pathlib import Path

import pytest

from windlass.model.log_quota import Piece, Stream
from windlass.steps.log_spool import LogSpool

STREAMS: tuple[Stream, ...] = ("stdout", "stderr", "system")


@pytest.mark.parametrize("seed", range(20))
def test_pieces_come_out_as_they_went_in(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - a test
    spool, model = LogSpool(tmp_path, memory=100), deque[Piece]()
    for at in range(500):
        if rng.random() < 0.55:
            piece = Piece(at, rng.choice(STREAMS), rng.randbytes(rng.randint(1, 60)))
            spool.put(piece)
            model.append(piece)
        elif model:
            assert spool.first() == model.popleft()
            spool.drop()
        assert bool(spool) == bool(model)
        assert not spool.full
    while model:
        assert spool.first() == model.popleft()
        spool.drop()
    assert not spool
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_costs_nothing_but_says_that_there_is_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = LogSpool(tmp_path, memory=10)
    pieces = [Piece(at, "stdout", b"%08d" % at) for at in range(6)]
    for piece in pieces[:4]:
        spool.put(piece)
    monkeypatch.setattr("windlass.steps.log_spool.os.pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    for piece in pieces[4:]:
        spool.put(piece)
    assert spool.full
    found = []
    while spool:
        found.append(spool.first())
        spool.drop()
    assert found == pieces
    assert not spool.full
