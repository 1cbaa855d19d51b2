"""The keyring of a process, as its settings and the kind of its store say it."""

from __future__ import annotations

from functools import partial
from typing import Final

from windlass.engine.sealing.box import new_key
from windlass.engine.sealing.keyring import Keyring
from windlass.engine.sealing.master_keys import MasterKeys, create_key, master_keys
from windlass.ids import IdSource
from windlass.settings import Settings

_MEMORY: Final = "memory"


def keyring_of(settings: Settings, ids: IdSource, kind: str) -> Keyring:
    """Return what seals for a store of some kind (`Store.kind`).

    A store in a file gets its first master key by itself, in the home. One on a server does not: others share it, who
    would have none. What is in memory is sealed under a key that goes with it.
    """
    if kind == _MEMORY:
        passing = MasterKeys({_MEMORY: new_key()}, "memory")
        return Keyring(ids, lambda: passing)
    create = None if kind == "postgresql" or settings.master_key is not None else partial(create_key, settings)
    return Keyring(ids, partial(master_keys, settings), create)
