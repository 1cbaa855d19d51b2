"""Folders of attempts: private, given away to whom a step runs as, and nothing left of them."""

from __future__ import annotations

import os
import pwd
import tempfile
from pathlib import Path

import pytest

from windlass.engine.workspace import (
    Owner,
    clear_workspaces,
    give_away,
    make_workspace,
    other_user,
    place_of_others,
    remove_workspace,
)
from windlass.errors import Refused

ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of attempts; that of other users' attempts is the test's own too."""
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    found = tmp_path / "attempts"
    found.mkdir(mode=0o700)
    return found


async def test_folders_are_private_and_go_away(below: Path) -> None:
    workspace = make_workspace(below)
    assert workspace.root.parent == below
    for folder in (workspace.root, workspace.work, workspace.scratch, workspace.artifacts):
        assert folder.stat().st_mode & 0o777 == 0o700
    await remove_workspace(workspace)
    assert list(below.iterdir()) == []


def test_only_root_runs_steps_as_somebody_else() -> None:
    assert other_user(None) is None
    assert other_user(pwd.getpwuid(os.geteuid()).pw_name) is None
    expected = (NOBODY.pw_uid, NOBODY.pw_gid) if ROOT else None
    assert other_user("nobody") == expected
    assert other_user(str(NOBODY.pw_uid)) == expected
    assert other_user("no-such-user") is None
    assert other_user("9" * 40) is None
    assert other_user("4294967295") is None
    assert other_user("\u0663") is None
    assert other_user("1234567890") == ((1234567890, 1234567890) if ROOT else None)


async def test_folders_of_another_user_are_his_and_their_root_is_ours(below: Path) -> None:
    owner = (other_user("nobody") if ROOT else None) or _ourselves()
    workspace = make_workspace(below, owner=owner)
    (workspace.scratch / "context.json").write_text("{}")
    give_away(workspace, owner)
    assert workspace.root.parent == place_of_others(below)
    assert (workspace.root.stat().st_uid, workspace.root.stat().st_mode & 0o777) == (os.geteuid(), 0o711)
    inner = [workspace.work, workspace.scratch, workspace.artifacts]
    inner += [workspace.scratch / name for name in ("home", "tmp", "context.json")]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in inner} == {tuple(owner)}
    clear_workspaces(below)
    assert not workspace.root.exists()


def test_a_place_that_somebody_else_has_taken_is_not_used(below: Path, tmp_path: Path) -> None:
    place = place_of_others(below)
    place.parent.symlink_to(tmp_path)
    with pytest.raises((Refused, FileExistsError)):
        make_workspace(below, owner=_ourselves())
    place.parent.unlink()
    place.parent.mkdir()
    place.parent.chmod(0o777)
    with pytest.raises(Refused, match="not a folder of this user alone"):
        make_workspace(below, owner=_ourselves())


@pytest.mark.parametrize("foreign", ["link", "open"])
def test_nothing_is_removed_from_a_place_that_somebody_else_has_taken(
    below: Path, tmp_path: Path, foreign: str
) -> None:
    place = place_of_others(below)
    real = tmp_path / "elsewhere"
    (real / place.name / "attempt-1").mkdir(parents=True)
    if foreign == "link":
        place.parent.symlink_to(real)
    else:
        real.rename(place.parent)
        place.parent.chmod(0o777)
    clear_workspaces(below)
    assert (place / "attempt-1").is_dir()


def _ourselves() -> Owner:
    return Owner(os.geteuid(), os.getegid())
