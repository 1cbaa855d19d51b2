"""The folders of one attempt: made empty and private, removed when it has ended."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir, mkdtemp
from typing import Any, Final, NamedTuple

from windlass.errors import Refused
from windlass.supervisor.contract import SHORTAGES
from windlass.supervisor.user import find_user


class Owner(NamedTuple):
    """Another user of this machine, by numbers, whom a step runs as."""

    user: int
    group: int


_PREFIX = "attempt-"
#: Name of the file that tells a step everything about its attempt.
CONTEXT: Final = "context.json"
#: Seconds between tries to remove what there is no descriptor for.
_PAUSES: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)


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


def other_user(name: str | None) -> Owner | None:
    """Return whom a step runs as, by name or number; None for ourselves, and where we may not become anybody else.

    None as well for a user that there is not: starting the process says so.
    """
    if name is None or os.geteuid() != 0:
        return None
    user = find_user(name)
    return None if user is None or user.uid == os.geteuid() else Owner(user.uid, user.gid)


def make_workspace(below: Path, *, work: Path | None = None, owner: Owner | None = None) -> Workspace:
    """Make the folders of an attempt below `below`; `work` is used instead of an own one where it is given.

    What belongs to another `owner` lies elsewhere, for nobody else may enter `below`: see `place_of_others`; it is his
    after `give_away`. Raises OSError where there is no room, Refused where somebody else has taken the place.
    """
    if owner is not None:
        below = _made_for_others(place_of_others(below))
    root = Path(mkdtemp(prefix=_PREFIX, dir=below))
    own, scratch, artifacts = root / "work", root / "scratch", root / "artifacts"
    try:
        for folder in (own, scratch, scratch / "home", scratch / "tmp", artifacts):
            folder.mkdir(mode=0o700)
    except OSError:
        shutil.rmtree(root, ignore_errors=True)
        raise
    return Workspace(root, work or own, scratch, artifacts)


def give_away(workspace: Workspace, owner: Owner) -> None:
    """Let the folders of an attempt belong to another user, before anything of his runs; the root stays ours.

    So he can put nothing in the place of a folder that we read when he is done.
    """
    workspace.root.chmod(0o711)
    for folder in (workspace.root / "work", workspace.scratch, workspace.artifacts):
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner.user, owner.group, follow_symlinks=False)


def place_of_others(below: Path) -> Path:
    """Return where the attempts that run as other users have their folders, instead of `below`."""
    digest = hashlib.sha256(os.fsencode(below.absolute())).hexdigest()[:16]
    return Path(gettempdir()) / f"windlass-attempts-{os.geteuid()}" / digest


def _made_for_others(place: Path) -> Path:
    """Make a folder that others may pass through and not list."""
    for folder in (place.parent, place):
        folder.mkdir(mode=0o711, exist_ok=True)
        if not _is_ours_alone(folder):
            raise Refused(f"{folder} is not a folder of this user alone: steps with run_as cannot start; remove it.")
        folder.chmod(0o711)  # whatever the mask is
    return place


def _is_ours_alone(folder: Path) -> bool:
    """Tell whether this is a folder that nobody else could have put something into."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022


async def remove_workspace(workspace: Workspace) -> None:
    """Remove the folders of an attempt; what cannot be removed is left for the next start.

    Where no descriptor is left to look into them with, that is tried again for some seconds.
    """
    for pause in (*_PAUSES, None):
        if await asyncio.to_thread(_removed, workspace) or pause is None:
            return
        await asyncio.sleep(pause)


def _removed(workspace: Workspace) -> bool:
    """Remove the folders as far as it goes; return whether another try would go no further."""
    errors: list[int] = []

    def take(_: object, __: object, info: Any) -> None:
        errors.append(info[1].errno)

    shutil.rmtree(workspace.root, onerror=take)
    return SHORTAGES.isdisjoint(errors) or _removed_unused(workspace)


def _removed_unused(workspace: Workspace) -> bool:
    """Remove folders that nobody has put anything into, without looking; that takes no descriptor."""
    scratch = workspace.scratch
    try:
        (scratch / CONTEXT).unlink(missing_ok=True)
        for folder in (scratch / "home", scratch / "tmp", scratch, workspace.root / "work", workspace.artifacts):
            with suppress(FileNotFoundError):
                folder.rmdir()
        workspace.root.rmdir()
    except OSError:
        return False
    return True


def clear_workspaces(below: Path) -> None:
    """Remove what attempts of an earlier process have left; only for the owner, once its steps are dead."""
    shared = place_of_others(below)
    places = [below, shared] if _is_ours_alone(shared.parent) and _is_ours_alone(shared) else [below]
    for place in places:
        for left in place.glob(f"{_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
    if shared in places:
        with suppress(OSError):
            shared.rmdir()
