"""Names and numbers of users: what stands for nobody is never somebody, least of all root."""

from __future__ import annotations

import os
import pwd

import pytest

from tests.supervisor.conftest import Bench
from windlass.supervisor.launch import _change_user
from windlass.supervisor.user import find_user

NOBODY = pwd.getpwnam("nobody")
#: To the kernel 2**32 - 1 means that nothing is to change; the others are no numbers here.
NO_USERS = [
    "4294967295",
    "4294967296",
    "04294967295",
    "9" * 5000,
    "\u0663",
    "-1",
    "+1",
    " 0",
    "",
    "no-such-user",
    "a\0b",
]


@pytest.mark.parametrize("text", NO_USERS)
def test_what_no_user_can_have_finds_nobody(text: str) -> None:
    assert find_user(text) is None


@pytest.mark.parametrize("number", [1234567890, 4294967294])
def test_a_number_without_a_name_is_a_user(number: int) -> None:
    user = find_user(str(number))
    assert user is not None
    assert (user.uid, user.gid, user.name) == (number, number, None)


def test_a_name_and_its_number_are_the_same_user() -> None:
    for text in ("nobody", str(NOBODY.pw_uid), f"00{NOBODY.pw_uid}"):
        user = find_user(text)
        assert user is not None
        assert (user.uid, user.gid, user.name) == (NOBODY.pw_uid, NOBODY.pw_gid, "nobody")


@pytest.mark.parametrize("text", ["4294967295", "4294967296", "\u0663"])
async def test_a_process_for_no_user_is_not_started(bench: Bench, text: str) -> None:
    with pytest.raises(OSError, match="argument"):
        await bench.start("id", run_as=text)


def test_a_change_that_the_kernel_does_not_make_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("setgroups", "initgroups", "setresgid", "setresuid"):
        monkeypatch.setattr(os, name, lambda *_: None)
    with pytest.raises(PermissionError, match="another user"):
        _change_user("1234567890")
