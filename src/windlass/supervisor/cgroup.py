"""A control group for each child, where the kernel lets us make one: whom it holds cannot hide from us."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: Version 1 hierarchies that hold processes and do nothing else to them, the best first.
_HARMLESS = ("pids", "freezer", "cpuacct")
#: How the names of all our groups begin, before the owner.
PREFIX = "windlass."


def own_folders(memberships: str, mounts: str) -> dict[str, str]:
    """Return the folders of this process's groups by hierarchy: "" is version 2, else a controller of version 1.

    `memberships` is the text of /proc/self/cgroup, `mounts` that of /proc/self/mountinfo.
    """
    paths: dict[str, str] = {}
    for line in memberships.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path
    found: dict[str, str] = {}
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        root, point = left.split(" ")[3:5]
        kind, _, options = right.split(" ", 2)
        if kind not in ("cgroup", "cgroup2"):
            continue
        for controller in [""] if kind == "cgroup2" else options.split(","):
            if controller not in paths or controller in found:
                continue
            path = paths[controller]
            if path != root and not path.startswith(root.rstrip("/") + "/"):
                continue  # our group is outside what is mounted here
            found[controller] = (point + "/" + path[len(root.rstrip("/")) :].strip("/")).rstrip("/")
    return found


def base_name(owner: str, pid: int) -> str:
    """Return the name of the group that holds all groups of a supervisor."""
    return f"{PREFIX}{owner}.{pid}"


def is_base_of(folder: str, owner: str) -> bool:
    """Tell whether a folder is named like a base of `owner`."""
    owner_of, _, pid = os.path.basename(folder).rpartition(".")  # noqa: PTH119 - pathlib costs memory
    return owner_of == PREFIX + owner and pid.isdigit()


def bases_beside(folder: str, owner: str) -> list[str]:
    """Return the bases of `owner` that stand in a group's folder."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - pathlib costs memory
    except OSError:
        return []
    return [f"{folder}/{name}" for name in names if is_base_of(name, owner)]


def pids_in(folder: str) -> set[int]:
    """Return the processes of a group and of all groups in it."""
    found: set[int] = set()
    for place in _bottom_up(folder):
        try:
            with open(f"{place}/cgroup.procs", "rb") as file:  # noqa: PTH123 - pathlib costs memory
                found.update(map(int, file.read().split()))
        except OSError:
            continue
    return found - {0}


def kill_all_in(folder: str) -> None:
    """Kill a whole group in one stroke, where the kernel has the means (5.14, version 2)."""
    try:
        _write(f"{folder}/cgroup.kill", b"1")
    except OSError:
        return


def remove(folder: str) -> bool:
    """Remove a group with the groups in it; return False where one still holds a process."""
    try:
        os.rmdir(folder)  # noqa: PTH106 - pathlib costs memory
    except FileNotFoundError:
        return True
    except OSError:
        for place in _bottom_up(folder):
            try:
                os.rmdir(place)  # noqa: PTH106 - as above
            except OSError:
                continue
        return not os.path.exists(folder)  # noqa: PTH110 - as above
    return True


class Groups:
    """The groups of one supervisor: a base that it lives in itself, and one below for each child."""

    __slots__ = ("_home", "_inside", "_left_over", "_origin", "folder")

    def __init__(self, folder: str, owner: str) -> None:
        """Make the base in `folder`, a group that holds this process. Raises OSError where that is not allowed."""
        self.folder = f"{folder}/{base_name(owner, os.getpid())}"
        self._origin = folder
        self._inside = 0
        self._left_over: set[int] = set()
        os.mkdir(self.folder)  # noqa: PTH102 - pathlib costs memory
        try:
            _write(f"{self.folder}/cgroup.procs", b"0")  # whether it works shows only when it is done
            _write(f"{folder}/cgroup.procs", b"0")
            self._home = os.open(f"{self.folder}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            os.rmdir(self.folder)  # noqa: PTH106 - as above
            raise

    def settle(self) -> None:
        """Move this process into the base."""
        os.write(self._home, b"0")

    def abolish(self) -> None:
        """Move back to where this process was started and remove the base, as far as nobody is left in it."""
        try:
            _write(f"{self._origin}/cgroup.procs", b"0")
        except OSError:
            return
        remove(self.folder)

    def enter(self, number: int) -> bool:
        """Make the group of child `number` and move into it, so that what is started now is in it from the start."""
        folder = self.of(number)
        try:
            os.mkdir(folder)  # noqa: PTH102 - as above
            _write(f"{folder}/cgroup.procs", b"0")
        except OSError:
            self.leave()
            remove(folder)
            return False
        self._inside = number
        return True

    def leave(self, number: int = 0) -> None:
        """Move back to the base, out of the group of child `number` or, if that is 0, of any."""
        if self._inside and number in (0, self._inside):
            os.write(self._home, b"0")
            self._inside = 0

    def of(self, number: int) -> str:
        """Return the folder of a child's group."""
        return f"{self.folder}/{number}"

    def vacate(self, number: int) -> bool:
        """Remove a child's group; return False where it still holds a process."""
        self.leave(number)
        for old in [old for old in self._left_over if remove(self.of(old))]:
            self._left_over.discard(old)
        if remove(self.of(number)):
            return True
        if pids_in(self.of(number)):
            return False
        self._left_over.add(number)  # something is on its way out, or made groups that are not ours to remove
        return True

    def number_of(self, pid: int) -> int | None:
        """Return the number of the child whose group holds `pid`, None where it is in none of them."""
        base = os.path.basename(self.folder)  # noqa: PTH119 - as above
        try:
            with open(f"/proc/{pid}/cgroup") as file:  # noqa: PTH123 - as above
                text = file.read()
        except OSError:
            return None
        for line in text.splitlines():
            _, found, below = line.partition(f"/{base}/")
            number = below.partition("/")[0]
            if found and number.isdigit():
                return int(number)
        return None


def make(owner: str, wanted: str) -> Groups | None:
    """Return groups for a supervisor of `owner`, None where the kernel lets us make none.

    `wanted` is "auto" (version 2 before version 1), "v1" or "off".
    """
    if wanted == "off":
        return None
    folders = folders_here()
    for hierarchy in _HARMLESS if wanted == "v1" else ("", *_HARMLESS):
        if hierarchy not in folders:
            continue
        try:
            return Groups(folders[hierarchy], owner)
        except OSError:
            continue
    return None


def folders_here() -> dict[str, str]:
    """Return `own_folders` of this process."""
    try:
        with open("/proc/self/cgroup") as memberships, open("/proc/self/mountinfo") as mounts:  # noqa: PTH123 - as above
            return own_folders(memberships.read(), mounts.read())
    except OSError:
        return {}


def _bottom_up(folder: str) -> Iterator[str]:
    """Yield the groups in a group, innermost first, then itself."""
    for place, _, _ in os.walk(folder, topdown=False):
        yield place


def _write(path: str, text: bytes) -> None:
    """Write a control file."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text)
    finally:
        os.close(fd)
