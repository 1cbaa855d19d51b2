"""Finding the control groups of this process, and naming ours."""

from __future__ import annotations

import pytest

from windlass.supervisor.cgroup import base_name, is_base_of, own_folders

UNIFIED = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
HYBRID = (
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:12 - cgroup cgroup rw,cpu,cpuacct\n"
    "39 31 0:36 /docker/7a /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
)


@pytest.mark.parametrize(
    ("memberships", "mounts", "folders"),
    [
        pytest.param(
            "0::/system.slice/windlass.service\n",
            UNIFIED,
            {"": "/sys/fs/cgroup/system.slice/windlass.service"},
            id="a service",
        ),
        pytest.param("0::/\n", UNIFIED, {"": "/sys/fs/cgroup"}, id="a container"),
        pytest.param(
            "8:pids:/docker/7a/x\n2:cpu,cpuacct:/a\n1:name=systemd:/\n0::/\n",
            HYBRID,
            {
                "": "/sys/fs/cgroup/unified",
                "pids": "/sys/fs/cgroup/pids/x",
                "cpu": "/sys/fs/cgroup/cpu,cpuacct/a",
                "cpuacct": "/sys/fs/cgroup/cpu,cpuacct/a",
            },
            id="both versions",
        ),
        pytest.param("8:pids:/docker/7ab\n", HYBRID, {}, id="outside of what is mounted"),
        pytest.param("0::/a:b\n", UNIFIED, {"": "/sys/fs/cgroup/a:b"}, id="a colon in a name"),
        pytest.param("", "", {}, id="nothing"),
    ],
)
def test_own_folders_follow_from_memberships_and_mounts(memberships: str, mounts: str, folders: dict[str, str]) -> None:
    assert own_folders(memberships, mounts) == folders


def test_a_base_is_known_by_its_instance() -> None:
    assert is_base_of("/sys/fs/cgroup/" + base_name("one", 12), "one")
    for name in (base_name("one-two", 12), "windlass.one", "windlass.one.x", "one.12"):
        assert not is_base_of("/sys/fs/cgroup/" + name, "one")
