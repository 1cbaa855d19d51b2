"""The folders of one attempt: made empty and private, removed when it has ended."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folders of one attempt."""

    root: Path
    #: Where the step starts.
    work: Path
    #: HOME, TMPDIR, `WINDLASS_OUTPUT` and the like.
    scratch: Path
    #: Where artifacts may be put besides the step's folder.
    artifacts: Path


def make_workspace(below: Path, *, work: Path | None = None) -> Workspace:
    """Make the folders of an attempt below `below`; `work` is used instead of an own one where it is given."""
    root = Path(mkdtemp(prefix="attempt-", dir=below))
    own, scratch, artifacts = root / "work", root / "scratch", root / "artifacts"
    for folder in (own, scratch, scratch / "home", scratch / "tmp", artifacts):
        folder.mkdir(mode=0o700)
    return Workspace(root, work or own, scratch, artifacts)


async def remove_workspace(workspace: Workspace) -> None:
    """Remove the folders of an attempt; what cannot be removed is left for the next start."""
    await asyncio.to_thread(shutil.rmtree, workspace.root, ignore_errors=True)


def clear_workspaces(below: Path) -> None:
    """Remove what attempts of an earlier process have left; only for the owner, once its steps are dead."""
    for left in below.glob("attempt-*"):
        shutil.rmtree(left, ignore_errors=True)
