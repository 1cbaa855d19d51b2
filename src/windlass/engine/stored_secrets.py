"""Secrets that the store keeps, sealed: set, listed, deleted. Nobody reads one back; steps are given it."""

from __future__ import annotations

import re
from typing import Any, Final

from windlass.clock import to_text
from windlass.engine.auditing.noting import note
from windlass.engine.engine import Engine
from windlass.engine.sealing.rotating import about_secret
from windlass.errors import LimitExceeded, NotFound, UserError
from windlass.model.printable import printable
from windlass.store import secrets
from windlass.store.secrets import SealedSecret, SecretRow
from windlass.store.transaction import Transaction

#: As `secret://store/NAME` takes it.
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
#: Bytes of a value.
LARGEST: Final = 64 * 1024
_LONGEST_NOTE: Final = 4000


async def set_secret(
    engine: Engine, project: str, name: str, value: str, *, text: str | None = None, by: str | None = None
) -> tuple[dict[str, Any], bool]:
    """Keep a value under a name, with a note as `text`; return what everybody may know of it, and whether it is new.

    What is returned holds `warnings`.

    Raises UserError where the name or the value cannot be, LimitExceeded where it is too large, NoMasterKey where
    nothing can be sealed.
    """
    _require_name(name)
    data = value.encode()
    if not data:
        raise UserError(f"The secret {name} needs a value: an empty one would hide nothing.")
    if "\0" in value:
        raise UserError(f"The secret {name} cannot hold NUL: no step could be given it.")
    if len(data) > LARGEST:
        raise LimitExceeded(f"The secret {name}, in bytes", len(data), LARGEST)
    if text is not None and len(text) > _LONGEST_NOTE:
        raise LimitExceeded(f"The note of the secret {name}, in characters", len(text), _LONGEST_NOTE)
    row, created = await engine.store.run(_set, engine, (project, name), data, text, by)
    news = engine.keyring.take_news()
    return {**_shape(row), "warnings": [] if news is None else [news]}, created


def _set(
    tx: Transaction, engine: Engine, named: tuple[str, str], data: bytes, said: str | None, by: str | None
) -> tuple[SecretRow, bool]:
    project, name = named
    before = secrets.secret(tx, project, name)
    value = SealedSecret(project, name, 1 if before is None else before.version + 1, b"")
    sealed, key_id = engine.keyring.seal(tx, data, about_secret(value))
    secrets.put_secret(tx, value._replace(sealed=sealed), key_id, note=said, by=by)
    note(tx, "secret.set", f"Secret/{name}", project=project, version=value.version)
    return _found(tx, project, name), before is None


async def list_secrets(
    engine: Engine, project: str | None, *, limit: int, cursor: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of secrets by project and name, without values, and the cursor of the next page."""
    after = None
    if cursor is not None:
        of, slash, name = cursor.partition("/")
        if not slash:
            raise UserError(f'"{printable(cursor[:80])}" is no cursor of this list: take it from the page before.')
        after = (of, name)
    rows = await engine.store.read(secrets.secrets_of, project, after=after, limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    return [_shape(row) for row in rows[:limit]], None if last is None else f"{last.project}/{last.name}"


async def get_secret(engine: Engine, project: str, name: str) -> dict[str, Any]:
    """Return what everybody may know of a secret. Raises NotFound where there is none."""
    return _shape(await engine.store.read(_found, project, name))


async def delete_secret(engine: Engine, project: str, name: str) -> dict[str, Any]:
    """Forget a secret; steps that name it fail from then on. Raises NotFound where there is none."""
    return _shape(await engine.store.run(_delete, project, name))


def _delete(tx: Transaction, project: str, name: str) -> SecretRow:
    row = _found(tx, project, name)
    secrets.drop_secret(tx, project, name)
    note(tx, "secret.delete", f"Secret/{name}", project=project, version=row.version)
    return row


def _found(tx: Transaction, project: str, name: str) -> SecretRow:
    row = secrets.secret(tx, project, name)
    if row is None:
        raise NotFound(f'Project "{project}" has no secret "{printable(name[:128])}".')
    return row


def _require_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise UserError(
            f'"{printable(name[:128])}" is no name of a secret: letters, digits, ".", "_" and "-", 128 at most, the '
            "first a letter or digit."
        )


def _shape(row: SecretRow) -> dict[str, Any]:
    return {
        "project": row.project,
        "name": row.name,
        "reference": f"secret://store/{row.name}",
        "version": row.version,
        "note": row.note,
        "createdAt": to_text(row.created_at),
        "updatedAt": to_text(row.updated_at),
        "updatedBy": row.updated_by,
    }
