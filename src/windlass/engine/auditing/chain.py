"""The keys of the audit's chain: an epoch for each, sealed with the store's other keys."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from windlass.engine.sealing.box import About, Unsealable, new_key
from windlass.engine.sealing.keyring import AUDIT, KeyMissing, Keyring, NoMasterKey
from windlass.errors import WindlassError
from windlass.model.audit import NO_KEY
from windlass.store.audit import Note, add_notes, begin_epoch, epoch_key, head
from windlass.store.transaction import Transaction


class AuditChain:
    """Adds entries to the chain of a store, under a key as soon as this process has one to seal it with."""

    def __init__(self, keyring: Keyring) -> None:
        """Seal and open the keys of epochs with the store's keyring."""
        self._keyring = keyring
        self._keys: dict[int, bytes] = {}
        self._lock = threading.Lock()

    def keep(self, tx: Transaction, notes: Sequence[Note]) -> None:
        """Add notes behind the last entry.

        Where its epoch has no key and there is one now, or its key cannot be had, they begin an epoch of their own:
        what people do is never lost for want of a key, and `verify` tells where one was wanting.
        """
        epoch = head(tx).epoch
        if self._wants_epoch(tx, epoch):
            self._begin(tx)
        add_notes(tx, notes, self.key)

    def key(self, tx: Transaction, epoch: int) -> bytes:
        """Return the key of an epoch. Raises KeyMissing or Unsealable where it cannot be had."""
        with self._lock:
            known = self._keys.get(epoch)
        if known is None:
            sealed = None if epoch == 0 else epoch_key(tx, epoch)
            known = NO_KEY if sealed is None else self._keyring.unseal(tx, sealed, about_epoch(epoch))
            with self._lock:
                self._keys[epoch] = known
        return known

    def _wants_epoch(self, tx: Transaction, epoch: int) -> bool:
        try:
            return self.key(tx, epoch) == NO_KEY and self._has_master()
        except (KeyMissing, Unsealable):
            return True

    def _has_master(self) -> bool:
        try:
            return self._keyring.masters().current is not None
        except WindlassError:
            return False  # keys that cannot be read are told by `doctor`, and at the start of a server

    def _begin(self, tx: Transaction) -> None:
        """Begin an epoch, with a key where one can be sealed."""
        sealed: bytes | None = None
        if self._has_master():
            number = head(tx).epoch + 1
            try:
                sealed, _ = self._keyring.seal(tx, new_key(), about_epoch(number))
            except (KeyMissing, NoMasterKey, Unsealable):
                sealed = None
        begin_epoch(tx, sealed)


def about_epoch(number: int) -> About:
    """Return where the key of an epoch stands."""
    return About("audit key", AUDIT, str(number), 1)
