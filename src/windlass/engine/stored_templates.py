"""Job templates that are stored: listed, shown with the jobs that are made from them, removed."""

from __future__ import annotations

from typing import Any

import orjson

from windlass.clock import to_text
from windlass.engine.engine import Engine
from windlass.engine.templates import KIND
from windlass.errors import NotFound
from windlass.model.did_you_mean import suggestion
from windlass.store.documents import StoredDocument, documents_of, drop_documents
from windlass.store.transaction import Transaction


async def list_templates(engine: Engine, project: str | None) -> list[dict[str, Any]]:
    """Return the templates of a project, None for all projects, by name."""
    return [_shape(found) for found in await engine.store.read(documents_of, KIND, project)]


async def get_template(engine: Engine, project: str, name: str) -> dict[str, Any]:
    """Return a template. Raises NotFound where there is none."""
    return _shape(await engine.store.read(_find, project, name))


async def delete_template(engine: Engine, project: str, name: str) -> dict[str, Any]:
    """Remove a template and return it; jobs that were made from it stay. Raises NotFound where there is none."""
    return _shape(await engine.store.run(_delete, project, name))


def _delete(tx: Transaction, project: str, name: str) -> StoredDocument:
    found = _find(tx, project, name)
    drop_documents(tx, project, KIND, [name])
    return found


def _find(tx: Transaction, project: str, name: str) -> StoredDocument:
    stored = {found.name: found for found in documents_of(tx, KIND, project)}
    if name not in stored:
        raise NotFound(f'There is no template "{name[:80]}" in project "{project}"{suggestion(name, stored)}.')
    return stored[name]


def _shape(found: StoredDocument) -> dict[str, Any]:
    content = orjson.loads(found.content)
    return {
        "name": found.name,
        "kind": found.kind,
        "project": found.project,
        "labels": content["metadata"].get("labels", {}),
        "parameters": content.get("parameters", {}),
        "spec": content["spec"],
        "provenance": found.provenance,
        "createdAt": to_text(found.created_at),
        "updatedAt": to_text(found.updated_at),
    }
