"""Attempts that cannot begin because the machine has nothing left: they wait, are counted, and give up in the end."""

from __future__ import annotations

import asyncio

import pytest

from windlass.engine import shortage as engine_shortage
from windlass.engine.shortage import Shortage
from windlass.engine.worker import StopSignal

pytestmark = pytest.mark.fault("F41")
_DEADLINE = 20


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_shortage, "FIRST_PAUSE", 0.001)


async def test_it_lasts_as_long_as_anybody_waits(caplog: pytest.LogCaptureFixture) -> None:
    shortage = Shortage()
    assert (shortage.lasts, shortage.trouble) == (False, None)
    with shortage.spell(StopSignal()) as first, shortage.spell(StopSignal()) as second:
        assert not shortage.lasts, "whoever could begin at once waited for nothing"
        assert await first.pause("no descriptor")
        assert await first.pause("no descriptor")
        assert shortage.trouble == "1 attempt waits and no more are taken: no descriptor"
        assert await second.pause("no process")
        assert shortage.trouble == "2 attempts wait and no more are taken: no process"
    assert (shortage.lasts, shortage.trouble) == (False, None)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


async def test_who_has_waited_long_enough_gives_up() -> None:
    shortage = Shortage(patience=0.01)
    with shortage.spell(StopSignal()) as spell:
        async with asyncio.timeout(_DEADLINE):
            while await spell.pause("no descriptor"):
                assert shortage.lasts
    assert not shortage.lasts


async def test_who_is_asked_to_stop_waits_no_longer() -> None:
    stop = StopSignal()
    shortage = Shortage()
    with shortage.spell(stop) as spell:
        assert await spell.pause("no descriptor")
        asyncio.get_running_loop().call_soon(stop.set, "cancel")
        async with asyncio.timeout(_DEADLINE):
            while await spell.pause("no descriptor"):
                pass
    with shortage.spell(stop) as late:
        assert not await late.pause("no descriptor")
    assert not shortage.lasts
