"""Servers and workers of different versions speak the newest protocol that both know, or say who is behind."""

from __future__ import annotations

import pytest

from windlass.engine.wire import protocol
from windlass.engine.wire.protocol import common_protocol
from windlass.errors import Conflict


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "SPOKEN", (2, 3))


@pytest.mark.usefixtures("spoken")
@pytest.mark.parametrize(("theirs", "common"), [((1, 2), 2), ((2, 3), 3), ((3, 4), 3), ((1, 9), 3)])
def test_the_newest_that_both_speak(theirs: tuple[int, int], common: int) -> None:
    assert common_protocol(theirs) == common


@pytest.mark.usefixtures("spoken")
@pytest.mark.parametrize(("theirs", "behind"), [((1, 1), "worker"), ((4, 5), "server")])
def test_who_is_behind_is_named(theirs: tuple[int, int], behind: str) -> None:
    with pytest.raises(Conflict, match=f"this server version 2 to 3: bring the {behind} up to date"):
        common_protocol(theirs)
