"""Secrets of files: what is no file, or cannot be looked at, is told in a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from windlass.engine.secret import SecretUnavailable
from windlass.engine.secrets.file import FileSecrets


async def test_a_files_text_comes_without_its_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    assert await FileSecrets([tmp_path]).resolve("token", "p") == "s3cret"


async def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "ring").symlink_to("ring")
    secrets = FileSecrets([tmp_path])
    for path, why in (
        ("folder", "is not a regular file"),
        ("ring", "cannot be found"),
        ("x" * 1000, "cannot be found"),
        ("a\0b", "cannot be found"),
        ("none", "no such file"),
    ):
        with pytest.raises(SecretUnavailable, match=why):
            await secrets.resolve(path, "p")
