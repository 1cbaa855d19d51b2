"""The audit as it is kept: entries added behind the last one, read by page, and the epochs of their keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import insert, select, update

from windlass.model.audit import BEGINNING, AuditEntry, Outcome, code_of
from windlass.store.audit_tables import audit_entries, audit_epochs, audit_head
from windlass.store.transaction import Transaction

_FIELDS: Final = tuple(AuditEntry.__dataclass_fields__)
_COLUMNS = tuple(audit_entries.c[name] for name in _FIELDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a unit of work has to say of what it did, before it has its place in the chain."""

    actor: str
    actor_kind: str
    address: str | None
    request: str
    action: str
    project: str | None = None
    object: str | None = None
    before: str | None = None
    after: str | None = None
    outcome: Outcome = "done"
    data: str | None = None


class Head(NamedTuple):
    """The end of the chain."""

    seq: int
    code: bytes
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries somebody asks for."""

    project: str | None = None
    actor: str | None = None
    action: str | None = None
    outcome: str | None = None
    since: int | None = None
    until: int | None = None
    limit: int = 50


#: Returns the key of an epoch.
KeyOf = Callable[[Transaction, int], bytes]


def add_notes(tx: Transaction, notes: Sequence[Note], key_of: KeyOf) -> None:
    """Add entries behind the last one. Whoever does so holds the end of the chain until he commits."""
    head = _lock_head(tx)
    key = key_of(tx, head.epoch)
    seq, code = head.seq, head.code
    rows: list[dict[str, Any]] = []
    for note in notes:
        seq += 1
        entry = AuditEntry(seq=seq, at=tx.now, epoch=head.epoch, **asdict(note))
        code = code_of(entry, code, key)
        rows.append({**asdict(entry), "code": code})
    tx.connection.execute(insert(audit_entries), rows)
    tx.connection.execute(update(audit_head).values(seq=seq, code=code))


def head(tx: Transaction) -> Head:
    """Return the end of the chain."""
    row = tx.connection.execute(select(audit_head.c.seq, audit_head.c.code, audit_head.c.epoch)).one_or_none()
    return Head(0, BEGINNING, 0) if row is None else Head._make(row)


def _lock_head(tx: Transaction) -> Head:
    found = select(audit_head.c.seq, audit_head.c.code, audit_head.c.epoch).with_for_update()
    row = tx.connection.execute(found).one_or_none()
    if row is None:
        tx.cursor.execute(
            "INSERT INTO audit_head (id, seq, code, epoch) VALUES (1, 0, ?, 0) ON CONFLICT (id) DO NOTHING",
            (BEGINNING,),
        )
        row = tx.connection.execute(found).one()
    return Head._make(row)


def begin_epoch(tx: Transaction, sealed: bytes | None) -> int:
    """Chain what follows under another key; return the number of the epoch."""
    number = _lock_head(tx).epoch + 1
    tx.connection.execute(insert(audit_epochs).values(number=number, sealed=sealed, since=tx.now))
    tx.connection.execute(update(audit_head).values(epoch=number))
    return number


def epoch_key(tx: Transaction, number: int) -> bytes | None:
    """Return the sealed key of an epoch; None where it has none."""
    found = select(audit_epochs.c.sealed).where(audit_epochs.c.number == number)
    sealed: bytes | None = tx.connection.execute(found).scalar_one_or_none()
    return sealed


def keep_epoch_key(tx: Transaction, number: int, sealed: bytes) -> None:
    """Keep the key of an epoch as it is sealed anew."""
    tx.connection.execute(update(audit_epochs).where(audit_epochs.c.number == number).values(sealed=sealed))


def entries_after(tx: Transaction, seq: int, limit: int) -> list[tuple[AuditEntry, bytes]]:
    """Return entries with their codes in the order of the chain, from the first one behind `seq`."""
    found = select(*_COLUMNS, audit_entries.c.code).where(audit_entries.c.seq > seq)
    rows = tx.connection.execute(found.order_by(audit_entries.c.seq).limit(limit))
    return [(_entry(row), row.code) for row in rows]


def find_entries(tx: Transaction, wanted: AuditFilter, before: int | None) -> list[AuditEntry]:
    """Return entries, newest first, those with a smaller number than `before` where it is given."""
    found = select(*_COLUMNS).order_by(audit_entries.c.seq.desc()).limit(wanted.limit)
    for name in ("project", "actor", "action", "outcome"):
        value = getattr(wanted, name)
        if value is not None:
            found = found.where(audit_entries.c[name] == value)
    if wanted.since is not None:
        found = found.where(audit_entries.c.at >= wanted.since)
    if wanted.until is not None:
        found = found.where(audit_entries.c.at < wanted.until)
    if before is not None:
        found = found.where(audit_entries.c.seq < before)
    return [_entry(row) for row in tx.connection.execute(found)]


def _entry(row: Any) -> AuditEntry:
    return AuditEntry(**{name: getattr(row, name) for name in _FIELDS})
