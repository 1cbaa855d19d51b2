"""Documents that are kept beside jobs, such as policies and templates: listed, shown, removed, by their kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from windlass.clock import to_text
from windlass.engine.auditing.noting import note
from windlass.engine.engine import Engine
from windlass.errors import NotFound
from windlass.model.did_you_mean import suggestion
from windlass.store.documents import StoredDocument, documents_of, drop_documents
from windlass.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class DocumentKind:
    """A kind of documents; a project has each name once."""

    #: As manifests write it, such as `RetentionPolicy`.
    kind: str
    #: What a sentence calls one.
    noun: str
    #: Fields of the document that are shown as they are, with what stands for one that is not there.
    shown: Mapping[str, Any]

    async def all_of(self, engine: Engine, project: str | None) -> list[dict[str, Any]]:
        """Return the documents of a project, None for all projects, by name."""
        return [self._shape(found) for found in await engine.store.read(documents_of, self.kind, project)]

    async def get(self, engine: Engine, project: str, name: str) -> dict[str, Any]:
        """Return a document. Raises NotFound where there is none."""
        return self._shape(await engine.store.read(self._find, project, name))

    async def delete(self, engine: Engine, project: str, name: str) -> dict[str, Any]:
        """Remove a document and return it. Raises NotFound where there is none."""
        return self._shape(await engine.store.run(self._delete, project, name))

    def _delete(self, tx: Transaction, project: str, name: str) -> StoredDocument:
        found = self._find(tx, project, name)
        drop_documents(tx, project, self.kind, [name])
        note(tx, f"{self.noun.rpartition(' ')[2]}.delete", f"{self.kind}/{name}", project=project, before=found.digest)
        return found

    def _find(self, tx: Transaction, project: str, name: str) -> StoredDocument:
        stored = {found.name: found for found in documents_of(tx, self.kind, project)}
        if name not in stored:
            raise NotFound(f'There is no {self.noun} "{name[:80]}" in project "{project}"{suggestion(name, stored)}.')
        return stored[name]

    def _shape(self, found: StoredDocument) -> dict[str, Any]:
        content = orjson.loads(found.content)
        return {
            "name": found.name,
            "kind": found.kind,
            "project": found.project,
            "labels": content["metadata"].get("labels", {}),
            **{field: content.get(field, default) for field, default in self.shown.items()},
            "provenance": found.provenance,
            "createdAt": to_text(found.created_at),
            "updatedAt": to_text(found.updated_at),
        }


POLICIES = DocumentKind("RetentionPolicy", "policy", {"spec": {}})
TEMPLATES = DocumentKind("JobTemplate", "template", {"parameters": {}, "spec": {}})
