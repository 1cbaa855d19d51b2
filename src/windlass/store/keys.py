"""Idempotency keys: which run was started under which key, for as long as the key is kept."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from windlass.store.tables import idempotency_keys
from windlass.store.transaction import Transaction


def kept_key(tx: Transaction, project: str, key: str) -> tuple[bytes, str] | None:
    """Return `(run id, digest of what was asked)` of a key that has not ended; None where it is free."""
    table = idempotency_keys
    found = select(table.c.run_id, table.c.digest).where(
        table.c.project == project, table.c.key == key, table.c.expires_at > tx.now
    )
    row = tx.connection.execute(found).one_or_none()
    return None if row is None else (row.run_id, row.digest)


def keep_key(tx: Transaction, project: str, key: str, digest: str, run_id: bytes, expires_at: int) -> None:
    """Keep a free key for a run until `expires_at`."""
    table = idempotency_keys
    tx.connection.execute(
        delete(table).where(table.c.project == project, table.c.key == key, table.c.expires_at <= tx.now)
    )
    values = {"project": project, "key": key, "digest": digest, "run_id": run_id, "expires_at": expires_at}
    tx.connection.execute(insert(table).values(values))


def drop_ended_keys(tx: Transaction) -> int:
    """Forget keys that have ended; return how many those were."""
    return int(tx.connection.execute(delete(idempotency_keys).where(idempotency_keys.c.expires_at <= tx.now)).rowcount)
