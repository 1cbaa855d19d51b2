"""Files that appear whole or not at all, on disks that know files without a name and on others."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from windlass.steps import whole_file
from windlass.steps.whole_file import new_file


@pytest.fixture(params=["unnamed", "named"], autouse=True)
def _kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "unnamed":
        return
    real = os.open

    def refuse(path: object, flags: int, *more: object, **named: object) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return real(path, flags, *more, **named)  # type: ignore[arg-type] - as it was called

    monkeypatch.setattr(whole_file.os, "open", refuse)


def test_it_appears_with_all_of_its_content(tmp_path: Path) -> None:
    with new_file(tmp_path) as file:
        os.write(file.descriptor, b"whole")
        assert not (tmp_path / "name").exists()
        assert file.keep("name")
    assert (tmp_path / "name").read_bytes() == b"whole"
    assert (tmp_path / "name").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["name"]


def test_what_is_not_kept_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Bad file"), new_file(tmp_path) as file:
        os.write(-1, b"half" * os.write(file.descriptor, b"half"))
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_told(tmp_path: Path) -> None:
    for first in (True, False):
        with new_file(tmp_path) as file:
            os.write(file.descriptor, b"same")
            assert file.keep("name") is first
    assert (tmp_path / "name").read_bytes() == b"same"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), new_file(tmp_path / "none"):
        pass


def test_one_without_a_name_goes_with_its_process(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, signal, sys; from windlass.steps.whole_file import new_file\n"
        "with new_file(pathlib.Path(sys.argv[1])) as file:\n"
        "    os.write(file.descriptor, b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run([sys.executable, "-c", code, tmp_path], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_removed_takes_it_once_it_is_there_again(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with new_file(folder) as file:
        os.write(file.descriptor, b"whole")
        if not list(folder.iterdir()):  # what has a name holds its folder
            folder.rmdir()
            with pytest.raises(FileNotFoundError):
                file.keep("name")
            folder.mkdir()
        assert file.keep("name")
    assert (folder / "name").read_bytes() == b"whole"
