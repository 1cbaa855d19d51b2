"""Whatever a process writes: memory stays small, nothing hangs, every byte that fits is kept as it was."""

from __future__ import annotations

import asyncio
import hashlib
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from windlass.clock import SystemClock
from windlass.model.masking import Masker
from windlass.model.outcome import Completed
from windlass.steps.log_pipe import LogPipe, LogTotals
from windlass.steps.shell import Shell
from windlass.steps.workbench import step_context
from windlass.supervisor.client import Supervisor

MIB = 1024 * 1024


class Sum:
    """Takes chunks and keeps only their hash and size."""

    def __init__(self) -> None:
        """Start empty."""
        self.digest = hashlib.sha256()
        self.size = 0
        self.system = b""

    async def __call__(self, seq: int, at: int, stream: Any, data: bytes) -> None:
        assert seq > 0
        assert at > 0
        if stream == "system":
            self.system += data
        else:
            self.digest.update(data)
            self.size += len(data)


async def run(tmp_path: Path, processes: Supervisor, script: str, **log: Any) -> tuple[Sum, LogTotals]:
    kept = Sum()
    pipe = LogPipe(kept, clock=SystemClock(), **log)
    outcome = await Shell().run(step_context(tmp_path, processes, log=pipe), {"run": script})
    assert isinstance(outcome, Completed), outcome
    return kept, await pipe.close()


@pytest.mark.parametrize("masker", [None, Masker(["hunter2-secret", "another-secret"])])
async def test_much_output_without_a_line_break_takes_little_memory(
    tmp_path: Path, processes: Supervisor, masker: Masker | None
) -> None:
    tracemalloc.start()
    try:
        kept, totals = await run(
            tmp_path, processes, "head -c 100000000 /dev/zero", masker=masker, quota=8 * MIB, chunk_bytes=MIB // 16
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * MIB
    assert kept.size == 8 * MIB
    assert totals.bytes_out == 100_000_000
    assert totals.left_out == 100_000_000 - 8 * MIB
    assert f"{totals.left_out:,} bytes are left out here".encode() in kept.system


async def test_bad_bytes_are_kept_as_they_are(tmp_path: Path, processes: Supervisor) -> None:
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 4096 + b"\xed\xa0\x80\r\x1b[31m" * 1000)
    kept, totals = await run(tmp_path, processes, f"cat {tmp_path}/noise")
    content = (tmp_path / "noise").read_bytes()
    assert kept.digest.hexdigest() == hashlib.sha256(content).hexdigest()
    assert totals.left_out == totals.lost == 0


@pytest.mark.promise("O13", part="masked")
async def test_a_secret_in_the_middle_of_much_output_is_masked(tmp_path: Path, processes: Supervisor) -> None:
    script = "head -c 65530 /dev/zero; printf hunter2-secret; head -c 200000 /dev/zero"
    kept, _ = await run(tmp_path, processes, script, masker=Masker(["hunter2-secret"]))
    assert kept.digest.hexdigest() == hashlib.sha256(bytes(65530) + b"***" + bytes(200000)).hexdigest()


async def test_both_streams_at_once_do_not_block_each_other(tmp_path: Path, processes: Supervisor) -> None:
    kept, _ = await run(tmp_path, processes, "head -c 3000000 /dev/zero >&2 & head -c 3000000 /dev/zero; wait")
    assert kept.size == 6_000_000


async def test_a_background_process_that_goes_on_writing_does_not_hold_the_step(
    tmp_path: Path, processes: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windlass.steps.capture.LINGER", 0.3)
    kept, _ = await run(tmp_path, processes, "yes & sleep 0.01")
    assert b"ended what the step left running: 1 process" in kept.system


async def test_a_reader_that_is_slow_loses_nothing_of_a_process_that_has_ended(
    tmp_path: Path, processes: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windlass.steps.capture.LINGER", 0.01)
    kept = Sum()
    opened = asyncio.Event()
    asyncio.get_running_loop().call_later(0.2, opened.set)

    async def slow(*chunk: Any) -> None:
        await opened.wait()
        await kept(*chunk)

    pipe = LogPipe(slow, clock=SystemClock(), chunk_bytes=1000)
    await Shell().run(step_context(tmp_path, processes, log=pipe), {"run": "head -c 60000 /dev/zero"})
    await pipe.close()
    assert kept.size == 60000
