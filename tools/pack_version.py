"""Packs an earlier version of the program for the tests in which it works beside this one.

    tools/pack_version.py COMMIT SCHEMA

writes `tests/releases/schema-SCHEMA.tar.xz` with what is needed to run that version: its package, and what it says of
itself. The same commit gives the same bytes.
"""

from __future__ import annotations

import io
import lzma
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
RELEASES: Final = ROOT / "tests" / "releases"
_WANTED: Final = ("src/windlass", "pyproject.toml")


def pack(commit: str) -> bytes:
    """Return the packed version of a commit."""
    listed = subprocess.run(
        ["git", "archive", "--format=tar", commit, *_WANTED],  # noqa: S607 - git is wherever the system has it
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(listed)) as theirs,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as ours,
    ):
        for name in sorted(one.name for one in theirs.getmembers() if one.isfile()):
            data = theirs.extractfile(name)
            assert data is not None  # noqa: S101 - it is a file
            member = tarfile.TarInfo(name)
            member.size, member.mode = theirs.getmember(name).size, 0o644
            ours.addfile(member, data)
    return lzma.compress(packed.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def main(commit: str, schema: str) -> None:
    """Write the file of a version."""
    target = RELEASES / f"schema-{schema}.tar.xz"
    RELEASES.mkdir(exist_ok=True)
    target.write_bytes(pack(commit))
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
