"""Keeps up what a large database needs beside its rows: partitions for the weeks to come, indexes of an upgrade.

Two builders do no harm: the store lets one work at a time, and who comes later makes only what is missing then.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from windlass.engine.engine import Engine
from windlass.store.upgrade import has_newer_schema

_log = logging.getLogger(__name__)

#: Seconds between two looks, and before the first: a command that runs one job here and now does not wait for it.
PERIOD: Final = 3600.0
_FIRST: Final = 5.0


@dataclass(slots=True)
class Builder:
    """The duty of tables and indexes."""

    engine: Engine
    name: str = "builder"
    _begun: bool = False

    async def turn(self) -> float:
        """Look, but for the first time; return the seconds until the next look.

        What newer programs have made they look after.
        """
        if not self._begun:
            self._begun = True
            return _FIRST
        store = self.engine.store
        if not await store.read(has_newer_schema):
            for sentence in await store.tend():
                _log.info("The database: %s", sentence)
        return PERIOD
