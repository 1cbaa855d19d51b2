"""What is left to do of an attempt whose work is done waits where the machine has nothing left to do it with."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from windlass.errors import UserError
from windlass.steps import wanting
from windlass.steps.artifacts import collect_artifacts
from windlass.steps.kept_files import Damaged, keep_files, take_files
from windlass.steps.output_file import read_output_file
from windlass.steps.wanting import when_possible

pytestmark = pytest.mark.fault("F41")
SHORT = OSError(errno.EMFILE, "Too many open files")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wanting, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(wanting, "LONGEST_PAUSE", 0.001)


def failing(monkeypatch: pytest.MonkeyPatch, name: str, error: OSError) -> None:
    """Let files with this name, or below a folder with it, not be opened."""
    real: Callable[..., int] = os.open

    def opened(path: Any, *args: Any, **more: Any) -> int:
        if Path(os.fsdecode(path)).name == name:
            raise error
        return real(path, *args, **more)

    monkeypatch.setattr(os, "open", opened)


async def test_it_is_tried_until_it_can_be_done(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []

    async def call() -> int:
        tries.append(1)
        if len(tries) < 4:
            raise SHORT
        return 7

    assert await when_possible(call, "The outputs wait") == 7
    assert len(tries) == 4
    (told,) = caplog.records
    assert told.getMessage() == "The outputs wait until it can be done: Too many open files"


@pytest.mark.parametrize(("error", "patience"), [(SHORT, 0.01), (OSError(errno.EACCES, "Permission denied"), 600)])
async def test_it_gives_up_after_long_and_at_once_for_another_cause(
    monkeypatch: pytest.MonkeyPatch, error: OSError, patience: float
) -> None:
    monkeypatch.setattr(wanting, "PATIENCE", patience)

    async def call() -> None:
        raise error

    with pytest.raises(OSError, match=error.strerror):
        await when_possible(call, "It waits")


def test_no_output_is_left_out_for_want_of_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "output"
    path.write_text("a=1\n")
    with monkeypatch.context() as short:
        failing(short, "output", SHORT)
        with pytest.raises(OSError, match="Too many open files"):
            read_output_file(path)
    failing(monkeypatch, "output", OSError(errno.EACCES, "Permission denied"))
    with pytest.raises(UserError, match="is left out: Permission denied"):
        read_output_file(path)


@pytest.mark.parametrize("name", ["work", "deep", "more.csv"])
def test_no_artifact_is_left_out_for_want_of_descriptors(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work" / "deep").mkdir(parents=True)
    (tmp_path / "work" / "a.csv").write_text("a\n")
    (tmp_path / "work" / "deep" / "more.csv").write_text("b\n")
    into = tmp_path / "kept"
    with monkeypatch.context() as short:
        failing(short, name, SHORT)
        with pytest.raises(OSError, match="Too many open files"):
            collect_artifacts(tmp_path / "work", ["**"], into)
    assert not into.exists()
    assert len(collect_artifacts(tmp_path / "work", ["**"], into).artifacts) == 2


def test_no_kept_file_is_taken_for_damaged_for_want_of_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"  # of "a"
    source, kept = tmp_path / "source", tmp_path / "kept"
    source.write_text("a")
    keep_files([(source, digest)], kept)
    with monkeypatch.context() as short:
        failing(short, digest, SHORT)
        with pytest.raises(OSError, match="Too many open files"):
            take_files([(digest, 1)], kept, tmp_path / "run")
    take_files([(digest, 1)], kept, tmp_path / "run")
    (kept / digest).write_text("b")
    with pytest.raises(Damaged):
        take_files([(digest, 1)], kept, tmp_path / "other")
