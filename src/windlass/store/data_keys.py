"""Data keys: what the values of a project are sealed under, themselves sealed under a master key."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import delete, func, insert, select, update

from windlass.store.sealed_tables import data_keys, secrets
from windlass.store.transaction import Transaction


class DataKey(NamedTuple):
    """A data key as it is kept."""

    id: bytes
    project: str
    #: Id of the master key that it is sealed under.
    master: str
    sealed: bytes


_COLUMNS = tuple(data_keys.c[name] for name in DataKey._fields)


def current_key(tx: Transaction, project: str) -> DataKey | None:
    """Return the key that new values of a project are sealed under."""
    found = select(*_COLUMNS).where(data_keys.c.project == project, data_keys.c.retired_at.is_(None))
    row = tx.connection.execute(found).one_or_none()
    return None if row is None else DataKey._make(row)


def data_key(tx: Transaction, key_id: bytes) -> DataKey | None:
    """Return a key by its id."""
    row = tx.connection.execute(select(*_COLUMNS).where(data_keys.c.id == key_id)).one_or_none()
    return None if row is None else DataKey._make(row)


def all_keys(tx: Transaction) -> list[DataKey]:
    """Return every key, oldest first."""
    rows = tx.connection.execute(select(*_COLUMNS).order_by(data_keys.c.id))
    return [DataKey._make(row) for row in rows]


def retired_keys(tx: Transaction) -> list[DataKey]:
    """Return the keys that nothing new is sealed under, oldest first."""
    found = select(*_COLUMNS).where(data_keys.c.retired_at.is_not(None)).order_by(data_keys.c.id)
    return [DataKey._make(row) for row in tx.connection.execute(found)]


def add_key(tx: Transaction, key: DataKey) -> None:
    """Keep a new key; the one before it of the same project takes nothing new any more."""
    before = (data_keys.c.project == key.project, data_keys.c.retired_at.is_(None))
    tx.connection.execute(update(data_keys).where(*before).values(retired_at=tx.now))
    tx.connection.execute(insert(data_keys).values(**key._asdict(), created_at=tx.now))


def keep_under(tx: Transaction, key_id: bytes, master: str, sealed: bytes) -> None:
    """Keep a key as it is sealed under another master key."""
    tx.connection.execute(update(data_keys).where(data_keys.c.id == key_id).values(master=master, sealed=sealed))


def drop_unused(tx: Transaction) -> int:
    """Remove retired keys under which nothing is sealed; return how many those were."""
    used = select(secrets.c.key_id).where(secrets.c.key_id == data_keys.c.id).exists()
    unused = delete(data_keys).where(data_keys.c.retired_at.is_not(None), ~used)
    return int(tx.connection.execute(unused).rowcount)


def keys_by_master(tx: Transaction) -> dict[str, int]:
    """Return how many keys are sealed under each master key."""
    rows = tx.connection.execute(select(data_keys.c.master, func.count()).group_by(data_keys.c.master))
    return {master: int(count) for master, count in rows}
