"""Secrets of projects, as they are kept: sealed, with a version that counts how often each was set."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import delete, insert, select, tuple_, update

from windlass.store.sealed_tables import secrets
from windlass.store.transaction import Transaction


class SecretRow(NamedTuple):
    """What everybody may know of a secret; times in microseconds."""

    project: str
    name: str
    version: int
    note: str | None
    created_at: int
    updated_at: int
    updated_by: str | None


class SealedSecret(NamedTuple):
    """A secret's value as it is kept."""

    project: str
    name: str
    version: int
    sealed: bytes


_SHOWN = tuple(secrets.c[name] for name in SecretRow._fields)
_SEALED = tuple(secrets.c[name] for name in SealedSecret._fields)


def secrets_of(
    tx: Transaction, project: str | None, *, after: tuple[str, str] | None = None, limit: int
) -> list[SecretRow]:
    """Return secrets of a project, or of all, by project and name, from the first one behind `after`."""
    found = select(*_SHOWN).order_by(secrets.c.project, secrets.c.name).limit(limit)
    if project is not None:
        found = found.where(secrets.c.project == project)
    if after is not None:
        found = found.where(tuple_(secrets.c.project, secrets.c.name) > tuple_(*after))
    return [SecretRow._make(row) for row in tx.connection.execute(found)]


def secret(tx: Transaction, project: str, name: str) -> SecretRow | None:
    """Return what everybody may know of a secret."""
    found = select(*_SHOWN).where(secrets.c.project == project, secrets.c.name == name)
    row = tx.connection.execute(found).one_or_none()
    return None if row is None else SecretRow._make(row)


def sealed_secret(tx: Transaction, project: str, name: str) -> SealedSecret | None:
    """Return the sealed value of a secret."""
    found = select(*_SEALED).where(secrets.c.project == project, secrets.c.name == name)
    row = tx.connection.execute(found).one_or_none()
    return None if row is None else SealedSecret._make(row)


def put_secret(tx: Transaction, value: SealedSecret, key_id: bytes, *, note: str | None, by: str | None) -> None:
    """Keep a value under a name, in the place of the one before it; without `note` the one that is there stays."""
    values = {
        "version": value.version,
        "sealed": value.sealed,
        "key_id": key_id,
        "updated_at": tx.now,
        "updated_by": by,
    }
    if note is not None:
        values["note"] = note or None
    same = (secrets.c.project == value.project, secrets.c.name == value.name)
    if not tx.connection.execute(update(secrets).where(*same).values(values)).rowcount:
        of = {"project": value.project, "name": value.name, "created_at": tx.now}
        tx.connection.execute(insert(secrets).values(of | values))


def drop_secret(tx: Transaction, project: str, name: str) -> bool:
    """Remove a secret; False where there is none."""
    same = (secrets.c.project == project, secrets.c.name == name)
    return bool(tx.connection.execute(delete(secrets).where(*same)).rowcount)


def sealed_secrets(
    tx: Transaction, after: tuple[str, str] | None, limit: int, *, key_id: bytes | None = None
) -> list[SealedSecret]:
    """Return values by project and name, from the first one behind `after`; those of one data key where it is named."""
    found = select(*_SEALED).order_by(secrets.c.project, secrets.c.name).limit(limit)
    if key_id is not None:
        found = found.where(secrets.c.key_id == key_id)
    if after is not None:
        found = found.where(tuple_(secrets.c.project, secrets.c.name) > tuple_(*after))
    return [SealedSecret._make(row) for row in tx.connection.execute(found)]


def reseal(tx: Transaction, value: SealedSecret, key_id: bytes) -> None:
    """Keep the same value as it is sealed under another key."""
    same = (secrets.c.project == value.project, secrets.c.name == value.name, secrets.c.version == value.version)
    tx.connection.execute(update(secrets).where(*same).values(sealed=value.sealed, key_id=key_id))
