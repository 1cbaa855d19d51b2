"""The files of the project, as Git knows them."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


@cache
def tracked_files() -> tuple[Path, ...]:
    """Return the files that are tracked and there, as paths from the project's folder."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S607 - git is wherever the system has it
    return tuple(Path(name) for name in listing.split("\0") if name and (ROOT / name).is_file())


def tracked(*suffixes: str) -> list[Path]:
    """Return the tracked files that end in one of `suffixes`."""
    return [file for file in tracked_files() if file.suffix in suffixes]


def text_of(file: Path) -> str:
    """Return the text of a tracked file; bytes that are no text are marked, not refused."""
    return (ROOT / file).read_text(errors="replace")
