"""The keys of a store: data keys of projects, opened by master keys, which one process reads once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from windlass.engine.sealing.box import About, Unsealable, key_of, new_key, seal, unseal
from windlass.engine.sealing.master_keys import MasterKeys
from windlass.errors import UserError
from windlass.ids import IdSource
from windlass.store.data_keys import DataKey, add_key, all_keys, current_key, data_key
from windlass.store.transaction import Transaction

#: What data keys are about where they are sealed themselves.
_KIND: Final = "data key"
#: What the keys of the audit's chain are sealed under, as if it were a project; none can have such a name.
AUDIT: Final = ".audit"


class KeyMissing(UserError):
    """The master key that something was sealed under is not among those that this process was given."""


class NoMasterKey(UserError):
    """There is no master key, and nobody may make one without being asked."""


class Keyring:
    """Seals and opens values in units of work; used from any thread."""

    def __init__(
        self, ids: IdSource, load: Callable[[], MasterKeys], create: Callable[[], object] | None = None
    ) -> None:
        """Open data keys with what `load` returns; it is asked again where a key is not among them.

        Where there is no master key yet `create` makes one; without it somebody has to be asked.
        """
        self._ids = ids
        self._load = load
        self._create = create
        self._masters: MasterKeys | None = None
        self._open: dict[bytes, bytes] = {}
        self._lock = threading.RLock()
        #: Where a master key was made that nobody has been told of.
        self._made: str | None = None

    def seal(self, tx: Transaction, plain: bytes, about: About) -> tuple[bytes, bytes]:
        """Return a value sealed under the current key of its project, which is made where there is none, and its id.

        Raises NoMasterKey, KeyMissing, or what reading the master keys raises.
        """
        kept = current_key(tx, about.project) or self.renew(tx, about.project)
        return seal(self._key(kept), kept.id, plain, about.data()), kept.id

    def unseal(self, tx: Transaction, sealed: bytes, about: About) -> bytes:
        """Return what was sealed. Raises Unsealable where that cannot be, KeyMissing where its master key is away."""
        key_id = key_of(sealed)
        key = self._open.get(key_id)
        if key is None:
            kept = data_key(tx, key_id)
            if kept is None or kept.project != about.project:
                raise Unsealable(f"the key of project {about.project} that it was sealed under is not in the database")
            key = self._key(kept)
        return unseal(key, sealed, about.data())

    def renew(self, tx: Transaction, project: str) -> DataKey:
        """Make a new key for what a project seals from now on. Raises as `seal` does."""
        masters = self._required(first=not all_keys(tx))
        key_id, key = self._ids.new(), new_key()
        kept = self._under(masters, key_id, project, key)
        add_key(tx, kept)
        return kept

    def under_current(self, kept: DataKey) -> DataKey | None:
        """Return a data key as it is sealed under the current master key; None where it is already."""
        masters = self.masters(anew=True)
        if masters.current is None or kept.master == masters.current:
            return None
        return self._under(masters, kept.id, kept.project, self._key(kept))

    def check(self, kept: DataKey) -> None:
        """See that a data key opens. Raises Unsealable or KeyMissing where it does not."""
        with self._lock:
            self._open.pop(kept.id, None)
        self._key(kept)

    def masters(self, *, anew: bool = False) -> MasterKeys:
        """Return the master keys that this process was given, read again where `anew` says so."""
        with self._lock:
            if self._masters is None or anew:
                self._masters = self._load()
            return self._masters

    def take_news(self) -> str | None:
        """Return a sentence on the master key that was made since this was asked for; None where none was."""
        place, self._made = self._made, None
        if place is None:
            return None
        return (
            f"A master key was made in {place}: keep a copy of it apart from your backups, for without it nothing that "
            "is sealed can be read again."
        )

    def _required(self, *, first: bool) -> MasterKeys:
        """Return the master keys, of which there is at least one. `first`: nothing was sealed in this store yet."""
        masters = self.masters()
        if masters.current is None:
            masters = self.masters(anew=True)
        if masters.current is None and first and self._create is not None:
            self._create()
            masters = self.masters(anew=True)
            self._made = masters.place
        if masters.current is None:
            what = (
                "make one with `windlass keys create` and give it to every server and worker of this store"
                if first
                else "put the master key of this store there"
            )
            raise NoMasterKey(f"There is no master key in {masters.place}: {what}.")
        return masters

    def _key(self, kept: DataKey) -> bytes:
        """Return a data key, opened."""
        with self._lock:
            found = self._open.get(kept.id)
            if found is None:
                found = self._open[kept.id] = self._opened(kept)
            return found

    def _opened(self, kept: DataKey) -> bytes:
        masters = self.masters()
        if kept.master not in masters.keys:
            masters = self.masters(anew=True)
        master = masters.keys.get(kept.master)
        if master is None:
            known = f"only {', '.join(masters.keys)}" if masters.keys else "none"
            raise KeyMissing(
                f"What project {kept.project} has sealed needs the master key {kept.master}, and {masters.place} holds "
                f"{known}: put it there."
            )
        try:
            return unseal(master, kept.sealed, _about(kept.id, kept.project))
        except Unsealable as error:
            raise Unsealable(
                f"The key of project {kept.project} does not open with the master key {kept.master} of "
                f"{masters.place}: {error}."
            ) from None

    @staticmethod
    def _under(masters: MasterKeys, key_id: bytes, project: str, key: bytes) -> DataKey:
        name = masters.current
        if name is None:
            raise NoMasterKey(f"There is no master key in {masters.place}.")
        return DataKey(key_id, project, name, seal(masters.keys[name], key_id, key, _about(key_id, project)))


def _about(key_id: bytes, project: str) -> bytes:
    return About(_KIND, project, key_id.hex(), 1).data()
