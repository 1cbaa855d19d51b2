"""A small file system in a mount namespace of the test's own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass
class SmallDisk:
    """A disk that nothing outside of its namespace sees."""

    #: It, as seen from outside.
    outside: Path
    #: What stands before a command that is to see it at its place.
    inside: list[str]

    def free(self) -> int:
        """Return how many bytes are free."""
        found = os.statvfs(self.outside)
        return found.f_bavail * found.f_frsize

    def fill(self, but: int) -> None:
        """Leave no more than `but` bytes free."""
        with (self.outside / "filler").open("ab") as file:
            while (left := self.free() - but) > 0:
                try:
                    file.write(b"x" * min(left, 4096))
                    file.flush()
                except OSError:
                    return

    def empty(self) -> None:
        """Remove what `fill` has put there."""
        (self.outside / "filler").unlink()


@contextmanager
def small_disk(place: Path, size: int, *, mode: str = "700") -> Iterator[SmallDisk]:
    """Give a new file system of `size` bytes at the new folder `place`, for commands that are started inside."""
    place.mkdir()
    mine = ["--mount", "--propagation=private"]
    if os.geteuid():
        mine += ["--user", "--map-root-user"]
    script = f"mount -t tmpfs -o size={size},mode={mode} small {place} && echo mounted && exec cat"
    holder = subprocess.Popen(
        ["unshare", *mine, "sh", "-c", script],  # noqa: S607 - every Linux has them
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "mounted\n", (
        "the test mounts a file system: run it as root, or allow user namespaces"
    )
    to = ["--mount", *(["--user", "--preserve-credentials"] if os.geteuid() else [])]
    try:
        yield SmallDisk(Path(f"/proc/{holder.pid}/root{place}"), ["nsenter", f"--target={holder.pid}", *to, "--"])
    finally:
        holder.communicate()
