"""Documents that are applied beside jobs, such as retention policies: one row each, without revisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import delete, insert, select, update

from windlass.store.archive_tables import documents
from windlass.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDocument:
    """One document."""

    id: bytes
    project: str
    kind: str
    name: str
    digest: str
    #: The normalised document as canonical JSON.
    content: str
    provenance: dict[str, str] | None
    created_at: int
    updated_at: int


def documents_of(tx: Transaction, kind: str, project: str | None = None) -> list[StoredDocument]:
    """Return the documents of a kind, by project and name."""
    found = select(documents).where(documents.c.kind == kind).order_by(documents.c.project, documents.c.name)
    if project is not None:
        found = found.where(documents.c.project == project)
    return [_document(row) for row in tx.connection.execute(found)]


def all_documents(tx: Transaction, project: str) -> dict[tuple[str, str], StoredDocument]:
    """Return the documents of a project by kind and name."""
    found = select(documents).where(documents.c.project == project)
    return {(row.kind, row.name): _document(row) for row in tx.connection.execute(found)}


def put_document(
    tx: Transaction,
    *,
    new_id: bytes,
    project: str,
    kind: str,
    name: str,
    digest: str,
    content: str,
    provenance: Mapping[str, str] | None,
) -> None:
    """Keep a document, in the place of the one of the same name."""
    values: dict[str, Any] = {
        "digest": digest,
        "content": content,
        "provenance": None if provenance is None else orjson.dumps(dict(provenance)).decode(),
        "updated_at": tx.now,
    }
    same = (documents.c.project == project, documents.c.kind == kind, documents.c.name == name)
    if tx.connection.execute(update(documents).where(*same).values(values)).rowcount:
        return
    of = {"id": new_id, "project": project, "kind": kind, "name": name, "created_at": tx.now}
    tx.connection.execute(insert(documents), of | values)


def drop_documents(tx: Transaction, project: str, kind: str, names: Sequence[str]) -> int:
    """Remove documents; return how many there were."""
    same = (documents.c.project == project, documents.c.kind == kind, documents.c.name.in_(names))
    return int(tx.connection.execute(delete(documents).where(*same)).rowcount)


def _document(row: Any) -> StoredDocument:
    values = row._asdict()
    values["provenance"] = None if row.provenance is None else orjson.loads(row.provenance)
    return StoredDocument(**values)
