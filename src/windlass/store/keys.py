# ruff: noqa: S608 - the only texts put together here are constants of this module
"""Idempotency keys: which run was started under which key, for as long as the key is kept."""

from __future__ import annotations

import hashlib
from typing import Final

from windlass.errors import Conflict
from windlass.store.transaction import Transaction, beside_others

#: The first half of the advisory locks of keys ("WNKY").
_LOCKS: Final = 0x574E4B59
_KEEP: Final = "INSERT INTO idempotency_keys (project, key, digest, run_id, expires_at) SELECT "
_VALUES: Final = "CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BYTEA), CAST(? AS BIGINT)"
_ENDED: Final = "DELETE FROM idempotency_keys WHERE project = ? AND key = ? AND expires_at <= ?"
#: True where no transaction of a caller's own has the key; none gets it then before this one has ended.
_MINE: Final = "pg_try_advisory_xact_lock_shared(?::integer, ?::integer)"
#: Keys that end at one time; a day's worth of them is too much for one transaction.
AT_ONCE: Final = 5000


def kept_key(tx: Transaction, project: str, key: str) -> tuple[bytes, str] | None:
    """Return `(run id, digest of what was asked)` of a key that has not ended; None where it is free.

    In a transaction of a caller's own nobody else gets the key before that ends.
    """
    if tx.foreign:
        tx.cursor.execute("SELECT pg_advisory_xact_lock(?, ?)", (_LOCKS, _number(project, key)))
    row = tx.cursor.execute(
        "SELECT run_id, digest FROM idempotency_keys WHERE project = ? AND key = ? AND expires_at > ?",
        (project, key, tx.now),
    ).fetchone()
    return None if row is None else (row[0], row[1])


def keep_key(tx: Transaction, project: str, key: str, digest: str, run_id: bytes, expires_at: int) -> None:
    """Keep a free key for a run until `expires_at`.

    Raises Conflict where a caller's own transaction has it, which may last: units of the store never wait for those.
    """
    ended = (project, key, tx.now)
    values = (project, key, digest, run_id, expires_at)
    if tx.dialect == "sqlite" or tx.foreign:
        tx.cursor.execute(_ENDED, ended)
        marks = "?, ?, ?, ?, ?" if tx.dialect == "sqlite" else _VALUES
        tx.cursor.execute(_KEEP + marks, values)
        return
    lock = (_LOCKS, _number(project, key))
    tx.cursor.execute(f"{_ENDED} AND {_MINE}", (*ended, *lock))  # what ended may be locked by who has the key now
    tx.cursor.execute(f"{_KEEP}{_VALUES} WHERE {_MINE}", (*values, *lock))
    if not tx.cursor.rowcount:
        raise Conflict(
            f'The idempotency key "{key}" is used by a transaction that has not ended: try again once it has.'
        )


# Beside others: keys that have ended stand for nothing, and no row that somebody else has locked is waited for.
@beside_others
def drop_ended_keys(tx: Transaction) -> int:
    """Forget up to `AT_ONCE` keys that have ended; return how many those were."""
    return _drop(tx, "expires_at <= ? ORDER BY expires_at LIMIT ?", (tx.now, AT_ONCE))


def drop_keys_of(tx: Transaction, run_id: bytes) -> None:
    """Forget the keys that stand for a run. One that has ended may stay where somebody puts another in its place."""
    _drop(tx, "run_id = ?", (run_id,))


def _drop(tx: Transaction, which: str, values: tuple[object, ...]) -> int:
    """Remove keys, on PostgreSQL but those that a transaction holds: a caller's own may go on for hours."""
    if tx.dialect == "sqlite":
        sql = f"DELETE FROM idempotency_keys WHERE rowid IN (SELECT rowid FROM idempotency_keys WHERE {which})"
    else:
        found = f"SELECT ctid FROM idempotency_keys WHERE {which} FOR UPDATE SKIP LOCKED"
        sql = f"DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY({found}))"
    tx.cursor.execute(sql, values)
    return tx.cursor.rowcount


def _number(project: str, key: str) -> int:
    """Return what stands for a key among locks."""
    found = hashlib.sha256(f"{project}\0{key}".encode()).digest()
    return int.from_bytes(found[:4], signed=True)
