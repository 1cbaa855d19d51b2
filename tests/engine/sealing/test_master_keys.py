"""Master keys: where they come from, what is refused, how a new one is made."""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest

from windlass.engine.sealing.box import new_key
from windlass.engine.sealing.master_keys import create_key, master_keys
from windlass.errors import Conflict, Refused, Unavailable, UserError
from windlass.settings import Settings

pytestmark = pytest.mark.promise("O13", part="sealed")


def line(name: str, key: bytes | None = None) -> str:
    return f"{name}:{base64.b64encode(key or new_key()).decode()}"


def test_there_is_none_until_one_is_made_and_a_new_one_comes_first(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    assert master_keys(settings).current is None
    path, first = create_key(settings)
    assert (path, first) == (tmp_path / "home/master.key", "k1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    before = master_keys(settings).keys
    assert create_key(settings)[1] == "k2"
    after = master_keys(settings)
    assert (list(after.keys), after.current) == (["k2", "k1"], "k2")
    assert after.keys["k1"] == before["k1"] != after.keys["k2"]
    assert [one.name for one in path.parent.iterdir()] == ["master.key"]


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    key = new_key()
    settings = Settings(home=tmp_path, master_key=f"{line('prod', key)},{line('old')}")
    found = master_keys(settings)
    assert (list(found.keys), found.keys["prod"], found.place) == (["prod", "old"], key, "WINDLASS_MASTER_KEY")
    with pytest.raises(Conflict, match="put a new one first there"):
        create_key(settings)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("k1", "line 1 must be ID:KEY"),
        ("# keys\n\nK1:" + line("k")[2:], "line 3 must be ID:KEY"),
        (line("k1") + "\n" + line("k1"), "line 2 must be ID:KEY, with an id of its own"),
        ("k1:AAAA", "the key k1 must be 32 bytes"),
        ("k1:%%%", "the key k1 must be 32 bytes"),
        ("\0\xff", "must be ID:KEY"),
    ],
    ids=["no-colon", "large-letter", "twice", "short", "no-base64", "no-text"],
)
def test_what_is_no_key_is_told_without_its_text(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    path.chmod(0o400)
    with pytest.raises(UserError, match=said) as raised:
        master_keys(Settings(home=tmp_path, master_key_file=path))
    assert "AAAA" not in str(raised.value)


def test_a_file_that_others_could_read_or_exchange_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    path.write_text(line("k1"))
    for mode, taken in ((0o400, True), (0o440, True), (0o404, False), (0o460, False), (0o602, False)):
        path.chmod(mode)
        if taken:
            assert master_keys(Settings(home=tmp_path)).current == "k1"
        else:
            with pytest.raises(Refused, match="chmod 400"):
                master_keys(Settings(home=tmp_path))


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no file of master keys"):
        master_keys(Settings(home=tmp_path, master_key_file=tmp_path))
    (tmp_path / "plain").write_text("")
    with pytest.raises(Unavailable, match="cannot be read"):
        create_key(Settings(home=tmp_path, master_key_file=tmp_path / "plain" / "key"))
