"""Find and kill what an earlier supervisor left because it, its guard and its worker were killed together."""

from __future__ import annotations

import os
import signal
import time

from windlass.supervisor import cgroup, procfs, signalling
from windlass.supervisor.wire import MARK_VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from windlass.supervisor.procfs import Process

_MARK = MARK_VARIABLE.encode()
_FIRST_PAUSE, _LAST_PAUSE = 0.005, 0.25
#: Seconds after which a killed process that does not go (it hangs in the kernel) is left to its fate.
_ENOUGH = 10.0


def find_leftovers(marks_prefix: str, groups: Iterable[str] = ()) -> list[Process]:
    """Return the living processes whose mark begins with `marks_prefix` or that are in one of the groups' folders.

    Everything below them counts too. This process and those above it never do.
    """
    prefix = os.fsencode(marks_prefix)
    table = procfs.processes()
    spared = _and_above(os.getpid(), table)
    roots = {pid for folder in groups for pid in cgroup.pids_in(folder)}
    roots.update(pid for pid in table if (procfs.variable(pid, _MARK) or b"").startswith(prefix))
    found = {one.pid: one for one in procfs.descendants(roots - spared, table)}
    return [one for one in found.values() if one.pid not in spared]


def kill_leftovers(owner: str, groups: Iterable[str] = ()) -> int:
    """Kill what earlier supervisors of `owner` left, until nothing is left; return how many processes that was.

    `owner` is the part of the marks before the colon; only who holds its lock may call this. `groups` are folders of
    control groups that were an earlier supervisor's; those beside our own are found without. Blocks; what we have no
    right to kill is left.
    """
    bases = {folder for folder in groups if cgroup.is_base_of(folder, owner)}
    own = set(cgroup.folders_here().values())
    for folder in own:
        bases.update(cgroup.bases_beside(folder, owner))
    bases = {base for base in bases if not any(f"{folder}/".startswith(f"{base}/") for folder in own)}
    killed: set[tuple[int, int]] = set()
    refused: set[tuple[int, int]] = set()
    pause = _FIRST_PAUSE
    give_up = time.monotonic() + _ENOUGH
    looks = 1
    while looks and time.monotonic() < give_up:
        found = [one for one in find_leftovers(f"{owner}:", bases) if (one.pid, one.start) not in refused]
        # In the midst of exec a process has no environment for a moment: where there was one, look again.
        looks = 2 if found else looks - 1
        for folder in bases if found else ():
            cgroup.kill_all_in(folder)
        for one in found:
            try:
                if signalling.send(one, signal.SIGKILL):
                    killed.add((one.pid, one.start))
            except PermissionError:
                refused.add((one.pid, one.start))
        if looks:
            time.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE)
    for folder in bases:
        cgroup.remove(folder)
    return len(killed)


def _and_above(pid: int, table: dict[int, Process]) -> set[int]:
    """Return a process and all above it."""
    found = set()
    while pid in table:
        found.add(pid)
        pid = table[pid].parent
    return found
